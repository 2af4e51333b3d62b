// Which tokens of a vocabulary are BOS, EOS and padding: the files beside it say so.
#pragma once

#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/tokenizer_model.h"

namespace qlora {

/// Puts into `ids` what a model folder's files say, and leaves the others as they are: the
/// bos_token, eos_token and pad_token of tokenizer_config.json; where it is silent, the
/// bos_token_id, eos_token_id (of several the first) and pad_token_id of generation_config.json.
/// @param tokens      what tokenizer_config.json may name
/// @param vocab_size  what an id lies below
/// @throws BadInput if a file is damaged, or names a token that there is not
void read_special_ids(const std::string& model_folder, const std::vector<AddedToken>& tokens,
                      std::int32_t vocab_size, TokenizerModel::SpecialIds& ids);

/// What transformers puts around a text where it is told nothing.
struct TextEnds {
  bool add_bos_token = true;   ///< BOS before it
  bool add_eos_token = false;  ///< EOS behind it
};

/// The members of these names of a model folder's tokenizer_config.json; the defaults where there
/// is none, or no folder (an empty name). @throws BadInput if the file is damaged
TextEnds read_text_ends(const std::string& model_folder);

}  // namespace qlora
