// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <string>
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

/// The text without white space at its two ends: Python's str.strip(). Bytes that are not UTF-8 are
/// no white space.
std::string_view stripped(std::string_view text);

/// What one U+FFFD stands for: a byte that no character can begin with or go on with, or as many
/// bytes as are the beginning of a character (Unicode 15, 3.9, U+FFFD Substitution of Maximal
/// Subparts; Python and Rust do that).
enum class Replacement { of_bytes, of_beginnings };

/// Moves what is certain out of `held`: whole characters, and U+FFFD for what is none.
/// @param to_the_end  an unfinished character is none; else it stays
std::string take_text(std::string& held, bool to_the_end, Replacement replacement);

}  // namespace qlora
