// Learning the merges of a byte-level BPE from text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_level_bpe.h"
#include "text/pre_tokenizer.h"

namespace qlora {

/// What is learned, and how.
struct ByteLevelTraining {
  /// Which of the pairs that stand equally often is merged first. Published trainers differ: by
  /// their bytes (the left token's, then the right one's) the greater, or by their two ids the
  /// smaller, as the tokenizers library has it.
  enum class Ties { greater_bytes, smaller_ids };

  std::int32_t vocab_size = 1024;  ///< special tokens, 256 bytes, and what merges make
  /// They take the first ids. A text is cut where one stands, and nothing is learned from it.
  std::vector<std::string> special_tokens = {};
  std::string_view split = kLlama3Split;  ///< the pieces that no merge reaches across
  Ties ties = Ties::greater_bytes;        ///< which of two equals
};

/// Trains a byte-level BPE (Sennrich et al. 2016, on bytes): the texts are split into pieces, each
/// piece begins as its bytes, and the two neighbors that stand together most often, counted over
/// all pieces, become one token; then again. Ids: the special tokens, the 256 bytes in the order of
/// their symbols (text/byte_alphabet.h), then the merges' results in the order in which they were
/// learned, which is their rank.
///
/// Counts are kept up from merge to merge, so the time is that of reading the text and of the
/// pieces that merges change. Equal texts and options give equal tokens, on every machine.
/// @param texts  bytes that are not UTF-8 are taken for U+FFFD
/// @return fewer tokens than vocab_size where no pair is left to merge
/// @throws std::invalid_argument if vocab_size does not hold the bytes and the special tokens, or
///         if these are shorter than two bytes or not distinct
BytePairs train_byte_level(std::span<const std::string> texts, const ByteLevelTraining& options);

}  // namespace qlora
