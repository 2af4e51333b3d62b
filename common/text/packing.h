// Several examples in a row: training without padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/examples.h"

namespace qlora {

/// Which items share a bin of `capacity`, each item in exactly one: best fit decreasing. The items
/// are taken longest first (of equal ones the earlier), and each goes where the least room is left
/// that holds it (of equal bins into the one that has had that room longest), else into a new bin.
/// Bins come in the order in which they were begun, items in the order in which they came in.
/// O(n log n). At most 11/9 · the fewest possible bins + 4 (Johnson et al. 1974). TRL: _pack_bfd,
/// strategy "bfd", which takes a thousand rows of the data at a time where this takes all.
/// @throws std::invalid_argument on a length that is not in 1 … capacity
std::vector<std::vector<std::int64_t>> best_fit_decreasing(std::span<const std::int64_t> lengths,
                                                           std::int64_t capacity);

/// The examples in rows of at most max_length tokens, as best_fit_decreasing() has them; none is
/// cut. position_ids begin anew in each example, and its first token has no label: the token before
/// it is another example's (TRL: labels[position_ids == 0] = -100).
/// @throws std::invalid_argument on an example that is empty, longer, or packed already
std::vector<TokenizedExample> pack(std::span<const TokenizedExample> examples,
                                   std::int64_t max_length);

}  // namespace qlora
