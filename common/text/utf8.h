// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace qlora {

/// U+FFFD, what stands for bytes that are not UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// The beginning of a byte string, seen as UTF-8.
struct Utf8Character {
  /// What the beginning is.
  enum class State { whole, unfinished, invalid };
  State state = State::invalid;  ///< an unfinished one may become whole with more bytes
  std::size_t length = 0;        ///< bytes of a whole character, else 0
  char32_t code = 0;             ///< its code point
};

/// Looks at the first character of `bytes`. Overlong forms, surrogates and values above U+10FFFF
/// are invalid; a beginning that more bytes could complete is unfinished; nothing is unfinished.
Utf8Character first_character(std::string_view bytes);

/// Whether all bytes are UTF-8.
bool is_utf8(std::string_view bytes);

}  // namespace qlora
