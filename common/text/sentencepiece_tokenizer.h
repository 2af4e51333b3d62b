// A SentencePiece model as a tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer_model.h"

namespace qlora {

/// @param bytes  of a tokenizer.model
/// @param file   named in error messages
/// @throws BadInput as SentencePieceModel::parse, and if the library refuses the model
std::shared_ptr<const TokenizerModel> sentencepiece_tokenizer(std::string_view bytes,
                                                              const std::string& file);

}  // namespace qlora
