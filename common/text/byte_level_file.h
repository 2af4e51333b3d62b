// A byte-level BPE as the file that the tokenizers library reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "text/byte_level_bpe.h"

namespace qlora {

/// tokenizer.json of a byte-level BPE: tokens that no text becomes are its special tokens, merges
/// are strings "left right", the split is the one given, and then ByteLevel without one of its own.
/// @param bos  put before a text by a post_processor; none: nothing is
/// @throws std::invalid_argument if bos is not one of the special tokens
Json tokenizer_json(const BytePairs& pairs, std::string_view split,
                    const std::optional<std::string>& bos);

}  // namespace qlora
