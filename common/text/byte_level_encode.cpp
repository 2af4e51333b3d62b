// ByteLevelBpe::encode: the merge loop.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/byte_level_bpe.h"

namespace qlora {

void ByteLevelBpe::encode(std::string_view piece, Workspace& w,
                          std::vector<std::int32_t>& ids) const {
  constexpr std::uint32_t kNone = Workspace::kNone;
  require(piece.size() < kNone, "ByteLevelBpe::encode", "a piece below 4 GiB");
  if (pairs_.ignore_merges) {
    if (const std::optional<std::int32_t> token = whole(piece)) {
      ids.push_back(*token);
      return;
    }
  }
  fill_symbols(piece, w);
  if (w.symbols.empty()) return;

  // A heap of the merges that are possible: the lowest rank first, of equals the leftmost.
  const auto later = [](const Workspace::Candidate& a, const Workspace::Candidate& b) {
    return std::pair(a.rank, a.at) > std::pair(b.rank, b.at);
  };
  const auto push = [&](std::uint32_t at) {  // the merge of the symbol at `at` with the next one
    const std::uint32_t next = w.symbols[at].next;
    if (next == kNone) return;
    const BytePairs::Merge* merge = merges_.find(w.symbols[at].id, w.symbols[next].id);
    if (merge == nullptr) return;
    w.heap.push_back({merge->rank, at, *merge});
    std::push_heap(w.heap.begin(), w.heap.end(), later);
  };
  w.heap.clear();
  for (std::uint32_t at = 0; at < w.symbols.size(); ++at) push(at);

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
  for (std::uint32_t at = 0; at != kNone; at = w.symbols[at].next) ids.push_back(w.symbols[at].id);
}

}  // namespace qlora
