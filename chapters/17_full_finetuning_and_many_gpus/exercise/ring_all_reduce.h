// Task 3: the messages of an all-reduce in a ring. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <vector>

namespace qlora {

/// Process `from` sends its copy of a chunk to its right neighbor, (from + 1) mod P, which adds it
/// to its own copy, or puts it in the place of that.
struct Message {
  std::int64_t from = 0;   ///< 0 … P − 1
  std::int64_t chunk = 0;  ///< 0 … P − 1
  bool add = false;        ///< else it replaces
};

/// Messages that travel at the same time: each carries what its sender held before any of them
/// arrived.
using RingStep = std::vector<Message>;

/// The schedule by which P processes, each with an array of its own in P chunks, all come to hold
/// the sum of the arrays. In every step every process sends exactly one chunk, and there are
/// 2 (P − 1) steps, no more: the bytes that each sends are the fewest possible.
std::vector<RingStep> ring_all_reduce(std::int64_t P);

/// Elements begin … end − 1 of an array.
struct ChunkRange {
  std::int64_t begin = 0;  ///< the first
  std::int64_t end = 0;    ///< behind the last
};

/// Chunk c of an array of n elements in P chunks, one behind the other: their sizes differ by one
/// at most, and the larger ones come first. Where n < P the last ones are empty.
ChunkRange chunk_range(std::int64_t n, std::int64_t P, std::int64_t c);

}  // namespace qlora
