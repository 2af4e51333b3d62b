// A byte-level BPE as a tokenizer: added tokens, splits, merges.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"
#include "text/tokenizer_model.h"

namespace qlora {

/// @param json          a tokenizer.json
/// @param file          named in error messages
/// @param model_folder  whose files name BOS, EOS and padding; "": none, then BOS is the first id
///                      that the post_processor puts before a text
/// @throws BadInput as TokenizerJson::parse and read_special_ids
std::shared_ptr<const TokenizerModel> tokenizer_of_json(const Json& json, const std::string& file,
                                                        const std::string& model_folder);

/// Llama 3's tokenizer from its tiktoken file: its split, its special tokens, its BOS before a
/// text.
/// @param bytes  of a tokenizer.model
/// @param model_folder  as above; where none names them, EOS is "<|end_of_text|>", padding nothing
/// @throws BadInput as parse_tiktoken and read_special_ids
std::shared_ptr<const TokenizerModel> tiktoken_tokenizer(std::string_view bytes,
                                                         const std::string& file,
                                                         const std::string& model_folder);

}  // namespace qlora
