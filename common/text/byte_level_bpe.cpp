#include "text/byte_level_bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

}  // namespace

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

void ByteLevelBpe::fill_symbols(std::string_view piece, Workspace& w) const {
  w.symbols.clear();
  bool after_unknown = false;
  for (const char c : piece) {
    const std::int32_t known = of_byte_[static_cast<std::uint8_t>(c)];
    const bool unknown = known < 0;
    if (!unknown || (pairs_.unk && !(pairs_.fuse_unk && after_unknown))) {
      const auto at = static_cast<std::uint32_t>(w.symbols.size());
      w.symbols.push_back({unknown ? *pairs_.unk : known, at == 0 ? kNone : at - 1, at + 1});
    }
    after_unknown = unknown;
  }
  if (!w.symbols.empty()) w.symbols.back().next = kNone;
}

// Enters the merge of the symbol at `at` with the next one, if there is one.
void ByteLevelBpe::enter(std::uint32_t at, Workspace& w) const {
  const std::uint32_t next = w.symbols[at].next;
  if (next == kNone) return;
  const BytePairs::Merge* merge = merges_.find(w.symbols[at].id, w.symbols[next].id);
  if (merge != nullptr) w.heap.push_back({merge->rank, at, *merge});
}

void ByteLevelBpe::encode(std::string_view piece, Workspace& w,
                          std::vector<std::int32_t>& ids) const {
  require(piece.size() < kNone, "ByteLevelBpe::encode", "a piece below 4 GiB");
  if (pairs_.ignore_merges) {
    const auto whole = ids_.find(piece);
    if (whole != ids_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  const auto later = [](const Workspace::Candidate& a, const Workspace::Candidate& b) {
    return std::pair(a.rank, a.at) > std::pair(b.rank, b.at);
  };
  fill_symbols(piece, w);
  w.heap.clear();
  for (std::uint32_t at = 0; at < w.symbols.size(); ++at) enter(at, w);
  std::make_heap(w.heap.begin(), w.heap.end(), later);
  const auto push = [&](std::uint32_t at) {
    const std::size_t before = w.heap.size();
    enter(at, w);
    if (w.heap.size() > before) std::push_heap(w.heap.begin(), w.heap.end(), later);
  };
  while (!w.heap.empty()) {
    std::pop_heap(w.heap.begin(), w.heap.end(), later);
    const Workspace::Candidate best = w.heap.back();
    w.heap.pop_back();
    Workspace::Symbol& left = w.symbols[best.at];
    // A merge since then may have taken one of the two.
    if (left.id != best.merge.left || left.next == kNone) continue;
    Workspace::Symbol& right = w.symbols[left.next];
    if (right.id != best.merge.right) continue;
    right.id = -1;  // gone: no merge has it on the left
    left.id = best.merge.result;
    left.next = right.next;
    if (left.next != kNone) w.symbols[left.next].previous = best.at;
    if (left.previous != kNone) push(left.previous);
    push(best.at);
  }
  if (w.symbols.empty()) return;
  for (std::uint32_t at = 0; at != kNone; at = w.symbols[at].next) ids.push_back(w.symbols[at].id);
}

}  // namespace qlora
