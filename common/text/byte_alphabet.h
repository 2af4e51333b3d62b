// The 256 characters in which byte-level vocabularies write bytes.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace qlora {

/// The bytes of a token as tokenizer.json writes it (GPT-2, encoder.py, bytes_to_unicode): bytes
/// 33-126, 161-172 and 174-255 are the characters of these numbers, the other 68 are U+0100 and
/// following, so that a space is "Ġ" (U+0120).
/// @return nothing if the text holds another character, or is not UTF-8
std::optional<std::string> bytes_of_symbols(std::string_view symbols);

/// A token's bytes in these characters, UTF-8: the inverse.
std::string symbols_of_bytes(std::string_view bytes);

/// All bytes, ordered by the number of their character: "!" first, the byte 173 last. So trainers
/// number the bytes of a vocabulary.
std::array<char, 256> bytes_in_order_of_symbols();

}  // namespace qlora
