// Task 4: the other tokenizer of SentencePiece, which does not merge. Nothing like it is in the
// tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// A unigram vocabulary (Kudo 2018; T5 and Gemma's elder relatives use it): pieces with log
/// probabilities, as if the pieces of a text were drawn one by one, each for itself.
struct UnigramVocabulary {
  std::vector<std::string> pieces;  ///< an id is an index; not empty, no two equal
  std::vector<double> scores;       ///< one for each piece: log p
};

/// The id of a byte that the vocabulary has no piece of.
inline constexpr std::int32_t kUnknownPiece = -1;

/// How much lower than the lowest score of the vocabulary an unknown byte scores.
inline constexpr double kUnknownPenalty = 10.0;

/// The ids of the segmentation of `text` into pieces whose scores have the greatest sum. Of equal
/// sums the one with fewer pieces wins; of these the one whose first piece that differs is longer.
///
/// At a place of the text where no piece of one byte fits, that byte alone may be taken as unknown:
/// its id is kUnknownPiece, its score the vocabulary's lowest minus kUnknownPenalty. An empty text
/// has no ids. Time: the text's length times the longest piece's, not the number of segmentations.
std::vector<std::int32_t> unigram_encode(const UnigramVocabulary& vocabulary,
                                         std::string_view text);

/// log Σ exp(sum of scores) over all segmentations, unknown bytes among them as above: the log
/// probability of the text. An empty text has one segmentation of no pieces: 0. No sum under- or
/// overflows on its way.
double unigram_log_likelihood(const UnigramVocabulary& vocabulary, std::string_view text);

}  // namespace qlora
