#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace qlora {
namespace {

constexpr char32_t kSymbols = 0x100 + 68;

// The byte of each character below kSymbols; -1: none.
constexpr std::array<int, kSymbols> bytes_by_symbol() {
  std::array<int, kSymbols> bytes{};
  bytes.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    bytes[itself ? static_cast<char32_t>(byte) : next++] = byte;
  }
  return bytes;
}

constexpr auto kBytes = bytes_by_symbol();
// The character of each byte.
constexpr std::array<char32_t, 256> symbols_by_byte() {
  std::array<char32_t, 256> codes{};
  for (char32_t code = 0; code < kSymbols; ++code) {
    if (kBytes[code] >= 0) codes[static_cast<std::size_t>(kBytes[code])] = code;
  }
  return codes;
}

constexpr auto kCodes = symbols_by_byte();
static_assert(kBytes[0x120] == ' ' && kBytes[0x10A] == '\n' && kBytes[kSymbols - 1] == 0xAD);

}  // namespace

std::string symbols_of_bytes(std::string_view bytes) {
  std::string symbols;
  for (const char byte : bytes) {
    const char32_t code = kCodes[static_cast<std::uint8_t>(byte)];
    if (code < 0x80) {
      symbols += static_cast<char>(code);
    } else {  // below U+0144: two bytes
      symbols += static_cast<char>(0xC0 | code >> 6);
      symbols += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return symbols;
}

std::array<char, 256> bytes_in_order_of_symbols() {
  std::array<char, 256> bytes{};
  std::size_t next = 0;
  for (const int byte : kBytes) {
    if (byte >= 0) bytes[next++] = static_cast<char>(byte);
  }
  return bytes;
}

std::optional<std::string> bytes_of_symbols(std::string_view symbols) {
  std::string bytes;
  while (!symbols.empty()) {
    const Utf8Character c = first_character(symbols);
    const bool known = c.state == Utf8Character::State::whole && c.code < kSymbols;
    if (!known || kBytes[c.code] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[c.code]);
    symbols.remove_prefix(c.length);
  }
  return bytes;
}

}  // namespace qlora
