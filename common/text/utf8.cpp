#include "text/utf8.h"

#include <algorithm>
#include <cstdint>

namespace qlora {
namespace {

// Bytes of a character by its first byte (RFC 3629, table 3-7 of the Unicode standard), 0 if none.
std::size_t length_from(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

// The second byte is where overlong forms, surrogates and values above U+10FFFF show.
bool second_fits(std::uint8_t first, std::uint8_t second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return (second & 0xC0) == 0x80;
  }
}

// Python's str.isspace(): Unicode's White_Space and the four separators of ASCII.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// Length of the longest beginning that more bytes could have completed, at least one byte.
std::size_t beginning(std::string_view bytes) {
  std::size_t length = 1;
  while (length < bytes.size() &&
         first_character(bytes.substr(0, length + 1)).state == Utf8Character::State::unfinished) {
    ++length;
  }
  return length;
}

}  // namespace

Utf8Character first_character(std::string_view bytes) {
  using State = Utf8Character::State;
  if (bytes.empty()) return {State::unfinished, 0, 0};
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const std::size_t length = length_from(first);
  if (length == 0) return {State::invalid, 0, 0};
  if (length == 1) return {State::whole, 1, first};
  char32_t code = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {State::unfinished, 0, 0};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const bool fits = i == 1 ? second_fits(first, byte) : (byte & 0xC0) == 0x80;
    if (!fits) return {State::invalid, 0, 0};
    code = code << 6 | (byte & 0x3Fu);
  }
  return {State::whole, length, code};
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Character c = first_character(bytes);
    if (c.state != Utf8Character::State::whole) return false;
    bytes.remove_prefix(c.length);
  }
  return true;
}

std::string_view stripped(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Character c = first_character(text.substr(at));
    const bool whole = c.state == Utf8Character::State::whole;
    const std::size_t next = at + (whole ? c.length : 1);
    if (!whole || !is_space(c.code)) {
      begin = std::min(begin, at);
      end = next;
    }
    at = next;
  }
  return end == 0 ? "" : text.substr(begin, end - begin);
}

std::string take_text(std::string& held, bool to_the_end, Replacement replacement) {
  std::string text;
  std::size_t at = 0;
  while (at < held.size()) {
    const std::string_view rest = std::string_view(held).substr(at);
    const Utf8Character c = first_character(rest);
    if (c.state == Utf8Character::State::unfinished && !to_the_end) break;
    if (c.state == Utf8Character::State::whole) {
      text.append(rest, 0, c.length);
      at += c.length;
    } else {
      text += kReplacementCharacter;
      at += replacement == Replacement::of_bytes ? 1 : beginning(rest);
    }
  }
  held.erase(0, at);
  return text;
}

}  // namespace qlora
