// A SentencePiece model as a tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer_model.h"

namespace qlora {

/// @param bytes  of a tokenizer.model
/// @param file   named in error messages
/// @param model_folder  whose tokenizer_config.json is asked for add_bos_token and add_eos_token;
///        empty: none
/// @throws BadInput as SentencePieceModel::parse, if the library refuses the model, or if
///         tokenizer_config.json is damaged
std::shared_ptr<const TokenizerModel> sentencepiece_tokenizer(std::string_view bytes,
                                                              const std::string& file,
                                                              const std::string& model_folder);

}  // namespace qlora
