#include "text/byte_level_bpe.h"

#include <bit>
#include <utility>

namespace qlora {

MergeTable::MergeTable(std::span<const BytePairs::Merge> merges)
    : slots_(std::bit_ceil(2 * merges.size() + 2), BytePairs::Merge{-1, -1, -1, -1}),
      shift_(64 - std::countr_zero(slots_.size())) {
  for (const BytePairs::Merge& m : merges) {
    std::size_t slot = slot_of(m.left, m.right);
    while (slots_[slot].left >= 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = m;
  }
}

// Fibonacci hashing: the upper bits of the product depend on all bits of both ids.
std::size_t MergeTable::slot_of(std::int32_t left, std::int32_t right) const {
  const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                   static_cast<std::uint32_t>(right);
  return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> shift_);
}

const BytePairs::Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  for (std::size_t slot = slot_of(left, right);; slot = (slot + 1) & (slots_.size() - 1)) {
    const BytePairs::Merge& m = slots_[slot];
    if (m.left < 0) return nullptr;
    if (m.left == left && m.right == right) return &m;
  }
}

ByteLevelBpe::ByteLevelBpe(BytePairs pairs) : pairs_(std::move(pairs)), merges_(pairs_.merges) {
  ids_.reserve(pairs_.tokens.size());
  for (std::size_t id = 0; id < pairs_.tokens.size(); ++id) {
    if (pairs_.in_text[id]) ids_.emplace(pairs_.tokens[id], static_cast<std::int32_t>(id));
  }
  for (std::size_t byte = 0; byte < of_byte_.size(); ++byte) {
    const char character = static_cast<char>(byte);
    const auto at = ids_.find(std::string_view(&character, 1));
    of_byte_[byte] = at == ids_.end() ? -1 : at->second;
  }
  pairs_.merges = {};
}

std::optional<std::int32_t> ByteLevelBpe::whole(std::string_view piece) const {
  const auto at = ids_.find(piece);
  return at == ids_.end() ? std::nullopt : std::optional(at->second);
}

void ByteLevelBpe::fill_symbols(std::string_view piece, Workspace& w) const {
  w.symbols.clear();
  bool after_unknown = false;
  for (const char c : piece) {
    const std::int32_t known = of_byte_[static_cast<std::uint8_t>(c)];
    const bool unknown = known < 0;
    if (!unknown || (pairs_.unk && !(pairs_.fuse_unk && after_unknown))) {
      const auto at = static_cast<std::uint32_t>(w.symbols.size());
      w.symbols.push_back(
          {unknown ? *pairs_.unk : known, at == 0 ? Workspace::kNone : at - 1, at + 1});
    }
    after_unknown = unknown;
  }
  if (!w.symbols.empty()) w.symbols.back().next = Workspace::kNone;
}

}  // namespace qlora
