// Batches of tokenized rows, padded on the right.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "text/examples.h"

namespace qlora {

/// B rows of T tokens, each an example, or several where rows are packed.
struct Batch {
  Tensor input_ids;       ///< (B,T) I32
  Tensor attention_mask;  ///< (B,T) I32: 1 a token, 0 padding
  /// (B,T) I32, beginning at 0 in each example of a packed row (transformers:
  /// DataCollatorWithFlattening); empty where every row is one example.
  Tensor position_ids;
  Tensor labels;                ///< (B,T) I32, -100 is ignored; empty where there are none
  std::int64_t tokens = 0;      ///< positions whose mask is 1
  std::int64_t supervised = 0;  ///< labels that the loss sees after the shift: b, t >= 1, not -100
};

/// (B·T) I32: position_ids, or else each token's place in its row.
Tensor positions_of(const Batch& batch);

/// One more than the largest of positions_of(): what tables of positions must cover.
std::int64_t positions_in(const Batch& batch);

/// (B,T) I32 for ops::attention_forward: which example of its row a token belongs to, from 1 on, 0
/// padding; empty where every row is one example without padding. A position 0 begins an example.
Tensor segments_of(const Batch& batch);

/// The rows `rows` of `examples` as one batch as long as its longest row.
Batch collate(std::span<const TokenizedExample> examples, std::span<const std::int64_t> rows,
              std::int32_t pad_id);

/// The order of n rows in an epoch: a permutation that (seed, epoch) alone decide.
std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch);

/// The same for --group-by-length: the permutation is cut into pieces of 50 batches and each is
/// sorted, longest first (transformers, get_length_grouped_indices); the longest row of all comes
/// first, so that a run that will not fit fails at once.
/// @param batch_size  rows of an optimizer step
std::vector<std::int64_t> length_grouped_order(std::span<const std::int64_t> lengths,
                                               std::int64_t batch_size, std::uint64_t seed,
                                               std::int64_t epoch);

/// Reads {"input_ids": [[…]], "attention_mask": [[…]], "position_ids": [[…]], "labels": [[…]]}:
/// rows of equal length, the others (all optional) of the same shape, whole ids in 0 …
/// vocab_size-1, mask of 0 and 1, labels -100 or an id. Without a mask every position counts.
/// Position ids say that rows are packed: each is 0 or one more than the one before it.
/// @throws BadInput naming the file and the row
Batch read_ids(const std::string& path, std::int32_t vocab_size);

/// The same from memory; `file` is named in error messages.
Batch parse_ids(std::string_view text, std::int32_t vocab_size, const std::string& file);

}  // namespace qlora
