// The schedule by looking at what everybody holds: no formula says which chunk goes when.
#include "ring_all_reduce.h"

#include <algorithm>
#include <cstddef>
#include <set>

namespace qlora {
namespace {

using Members = std::set<std::int64_t>;              // whose values are in a chunk
using Holdings = std::vector<std::vector<Members>>;  // [process][chunk]

// Of the chunks that may go to the neighbor, the one with the most in it.
std::int64_t chosen(const Holdings& all, std::int64_t p, bool adding) {
  const std::size_t P = all.size();
  const auto& own = all[static_cast<std::size_t>(p)];
  const auto& theirs = all[static_cast<std::size_t>(p + 1) % P];
  std::int64_t best = -1;
  std::size_t most = 0;
  for (std::size_t i = 0; i < P; ++i) {
    const std::size_t c = (static_cast<std::size_t>(p) + i) % P;  // of equal ones the own number
    const bool disjoint =
        std::ranges::none_of(own[c], [&](std::int64_t q) { return theirs[c].contains(q); });
    const bool wanted = own[c].size() == P && theirs[c].size() < P;
    if ((adding ? disjoint : wanted) && own[c].size() > most) {
      most = own[c].size();
      best = static_cast<std::int64_t>(c);
    }
  }
  return best;
}

void carry_out(const RingStep& step, Holdings& all) {
  const Holdings as_sent = all;
  for (const Message& m : step) {
    const auto c = static_cast<std::size_t>(m.chunk);
    Members& own = all[static_cast<std::size_t>(m.from + 1) % all.size()][c];
    if (!m.add) own.clear();
    for (const std::int64_t q : as_sent[static_cast<std::size_t>(m.from)][c]) own.insert(q);
  }
}

}  // namespace

std::vector<RingStep> ring_all_reduce(std::int64_t P) {
  Holdings all(static_cast<std::size_t>(P));
  for (std::int64_t p = 0; p < P; ++p) {
    all[static_cast<std::size_t>(p)].assign(static_cast<std::size_t>(P), Members{p});
  }
  std::vector<RingStep> schedule;
  for (std::int64_t s = 0; s < 2 * (P - 1); ++s) {
    const bool adding = s < P - 1;
    RingStep step;
    for (std::int64_t p = 0; p < P; ++p) {
      const std::int64_t c = chosen(all, p, adding);
      if (c >= 0) step.push_back({p, c, adding});
    }
    carry_out(step, all);
    schedule.push_back(step);
  }
  return schedule;
}

ChunkRange chunk_range(std::int64_t n, std::int64_t P, std::int64_t c) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(P), 0);
  for (std::int64_t i = 0; i < n; ++i) ++sizes[static_cast<std::size_t>(i % P)];  // dealt out
  ChunkRange range;
  for (std::int64_t k = 0; k <= c; ++k) {
    range.begin = range.end;
    range.end += sizes[static_cast<std::size_t>(k)];
  }
  return range;
}

}  // namespace qlora
