#include "text/byte_alphabet.h"

#include <array>

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
static_assert(kBytes[0x120] == ' ' && kBytes[0x10A] == '\n' && kBytes[kSymbols - 1] == 0xAD);

}  // namespace

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
