// A unigram tokenizer, against every segmentation and against closed forms.
#include "unigram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "all_segmentations.h"
#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using segmentations::Chosen;
using testing::is_close;
using Ids = std::vector<std::int32_t>;

// Scores are halves and quarters where ties matter, so that their sums are exact.
const UnigramVocabulary kWords = {{"a", "b", "c", "ab", "bc", "abc"},
                                  {-2.0, -2.0, -2.0, -3.0, -2.5, -5.25}};

TEST(Unigram, ByHand) {
  // abc: a + bc = -4.5; ab + c = -5; abc = -5.25; a + b + c = -6.
  EXPECT_EQ(unigram_encode(kWords, "abc"), (Ids{0, 4}));
  EXPECT_EQ(unigram_encode(kWords, "ab"), (Ids{3}));
  EXPECT_EQ(unigram_encode(kWords, "ba"), (Ids{1, 0}));
}

TEST(Unigram, TheLongestPieceIsNotAlwaysTheBest) {
  const UnigramVocabulary v = {{"a", "b", "aab", "aa", "ba"}, {-1.0, -9.0, -4.0, -1.5, -1.0}};
  // aaba: a + a + ba = -3; aa + ba = -2.5; aab + a = -5.
  EXPECT_EQ(unigram_encode(v, "aaba"), (Ids{3, 4}));
}

TEST(Unigram, AnEmptyTextHasNoPieces) {
  EXPECT_EQ(unigram_encode(kWords, ""), Ids{});
  EXPECT_EQ(unigram_log_likelihood(kWords, ""), 0.0);
}

TEST(Unigram, OfEqualSumsFewerPiecesWin) {
  const UnigramVocabulary v = {{"a", "b", "ab"}, {-1.0, -2.0, -3.0}};
  EXPECT_EQ(unigram_encode(v, "abab"), (Ids{2, 2}));
}

TEST(Unigram, OfEqualSumsAndCountsTheFirstLongerPieceWins) {
  const UnigramVocabulary v = {{"a", "b", "c", "ab", "bc"}, {-4.0, -4.0, -4.0, -1.0, -1.0}};
  EXPECT_EQ(unigram_encode(v, "abc"), (Ids{3, 2}));
  EXPECT_EQ(unigram_encode(v, "abcabc"), (Ids{3, 2, 3, 2}));
}

TEST(Unigram, AByteWithoutAPieceIsUnknown) {
  EXPECT_EQ(unigram_encode(kWords, "axb"), (Ids{0, kUnknownPiece, 1}));
  EXPECT_EQ(unigram_encode(kWords, "xx"), (Ids{kUnknownPiece, kUnknownPiece}));
  // "x" has no piece of its own, so it may be unknown, and "xy" is dearer than that: -30 against
  // x -30 - 10 and y -1.
  const UnigramVocabulary v = {{"xy", "y"}, {-30.0, -1.0}};
  EXPECT_EQ(unigram_encode(v, "xy"), (Ids{0}));
  // Where a byte has a piece, it is not unknown, however low its score.
  EXPECT_EQ(unigram_encode({{"x", "y"}, {-1000.0, -1.0}}, "xy"), (Ids{0, 1}));
}

TEST(Unigram, AgreesWithEverySegmentation) {
  const Random random{21};
  std::uint64_t draw = 0;
  for (int round = 0; round < 40; ++round) {
    UnigramVocabulary v;
    for (int i = 0; i < 12; ++i) {
      std::string piece;
      const auto length = 1 + random.below(draw++, 4);
      while (piece.size() < length) piece += static_cast<char>('a' + random.below(draw++, 3));
      if (std::ranges::count(v.pieces, piece) > 0) continue;
      v.pieces.push_back(piece);
      v.scores.push_back(-static_cast<double>(32 + random.below(draw++, 480)) / 64);  // exact sums
    }
    std::string text;
    const auto length = random.below(draw++, 13);
    while (text.size() < length) text += static_cast<char>('a' + random.below(draw++, 3));
    const double unknown = *std::ranges::min_element(v.scores) - kUnknownPenalty;
    double total = 0.0;
    // The greatest sum, then the fewest pieces, then the longest first.
    std::tuple<double, int, std::vector<std::size_t>> most{-INFINITY, 0, {}};
    Ids best;
    std::vector<Chosen> begun;
    segmentations::visit_all(v.pieces, v.scores, unknown, text, begun, [&](const auto& one) {
      const double sum = segmentations::sum_of(one);
      total += std::exp(sum);
      std::vector<std::size_t> lengths;
      Ids ids;
      for (const Chosen& piece : one) {
        lengths.push_back(piece.length);
        ids.push_back(piece.id);
      }
      const std::tuple rank{sum, -static_cast<int>(one.size()), lengths};
      if (rank > most) {
        most = rank;
        best = ids;
      }
    });
    EXPECT_EQ(unigram_encode(v, text), best) << text;
    // At most 4,096 exponentials of sums of size 13 · 20, in double: the logarithm is off by
    // 4,096 eps from adding them and 260 eps from the exponents, 1e-12.
    EXPECT_TRUE(is_close(unigram_log_likelihood(v, text), std::log(total), 1e-11)) << text;
  }
}

TEST(Unigram, LikelihoodByHand) {
  // "ab" alone, and a then b: log(e^-3 + e^-4).
  EXPECT_TRUE(is_close(unigram_log_likelihood(kWords, "ab"),
                       std::log(std::exp(-3.0) + std::exp(-4.0)), 1e-14));
  EXPECT_TRUE(is_close(unigram_log_likelihood(kWords, "x"), -5.25 - kUnknownPenalty, 1e-14));
}

TEST(Unigram, LikelihoodCountsSegmentations) {
  // With every score 0 a segmentation weighs 1: 2^(n-1) cuts where every substring is a piece.
  const UnigramVocabulary v = {{"a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaa"}, {0, 0, 0, 0, 0, 0}};
  EXPECT_TRUE(is_close(unigram_log_likelihood(v, "aaaaaa"), std::log(32.0), 1e-14));
}

TEST(Unigram, LikelihoodsBelowTheSmallestDouble) {
  // Each segmentation of this text has a probability of e^-1000 and less, which is 0 in double.
  const UnigramVocabulary v = {{"a", "aa"}, {-500.0, -1000.0}};
  EXPECT_TRUE(is_close(unigram_log_likelihood(v, "aa"), -1000.0 + std::log(2.0), 1e-12));
  EXPECT_EQ(unigram_encode(v, "aa"), (Ids{1}));
}

}  // namespace
}  // namespace qlora
