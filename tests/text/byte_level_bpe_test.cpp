#include "text/byte_level_bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "core/random.h"

namespace qlora {
namespace {

using Ids = std::vector<std::int32_t>;
using Merge = BytePairs::Merge;

Ids encode(const BytePairs& pairs, std::string_view piece) {
  const ByteLevelBpe bpe(pairs);
  ByteLevelBpe::Workspace workspace;
  Ids ids;
  bpe.encode(piece, workspace, ids);
  return ids;
}

// Tokens of the letters a, b, c: 0, 1, 2, then what is given.
BytePairs letters(std::vector<std::string> more, std::vector<Merge> merges) {
  BytePairs pairs;
  pairs.tokens = {"a", "b", "c"};
  pairs.tokens.insert(pairs.tokens.end(), more.begin(), more.end());
  pairs.in_text.assign(pairs.tokens.size(), true);
  pairs.merges = std::move(merges);
  return pairs;
}

// [the_rule]
// The rule, word by word: all pairs are looked at for every merge.
Ids slowly(const BytePairs& pairs, std::string_view piece) {
  std::map<std::pair<int, int>, Merge> merges;
  for (const Merge& m : pairs.merges) merges[{m.left, m.right}] = m;
  Ids ids;
  for (const char c : piece) ids.push_back(c - 'a');
  for (;;) {
    const Merge* best = nullptr;
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = merges.find({ids[i], ids[i + 1]});
      if (found != merges.end() && (best == nullptr || found->second.rank < best->rank)) {
        best = &found->second;
        place = i;
      }
    }
    if (best == nullptr) return ids;
    ids[place] = best->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}
// [/the_rule]

TEST(ByteLevelBpe, TheLowestRankMergesFirst) {
  const std::vector<std::string> tokens = {"ab", "bc"};
  EXPECT_EQ(encode(letters(tokens, {{0, 1, 3, 0}, {1, 2, 4, 1}}), "abc"), (Ids{3, 2}));
  EXPECT_EQ(encode(letters(tokens, {{0, 1, 3, 1}, {1, 2, 4, 0}}), "abc"), (Ids{0, 4}));
}

TEST(ByteLevelBpe, OfEqualsTheLeftmostMerges) {
  EXPECT_EQ(encode(letters({"aa"}, {{0, 0, 3, 0}}), "aaaaa"), (Ids{3, 3, 0}));
}

TEST(ByteLevelBpe, AMergeMakesNewNeighbors) {
  const BytePairs pairs = letters({"ab", "abc", "cab"}, {{0, 1, 3, 2}, {3, 2, 4, 1}, {2, 3, 5, 0}});
  EXPECT_EQ(encode(pairs, "abc"), (Ids{4}));
  EXPECT_EQ(encode(pairs, "cabc"), (Ids{5, 2}));
}

TEST(ByteLevelBpe, IgnoreMergesTakesAPieceThatIsAToken) {
  BytePairs pairs = letters({"abc"}, {});  // the token 3, which no merge makes
  EXPECT_EQ(encode(pairs, "abc"), (Ids{0, 1, 2}));
  pairs.ignore_merges = true;
  EXPECT_EQ(encode(pairs, "abc"), (Ids{3}));
  EXPECT_EQ(encode(pairs, "abca"), (Ids{0, 1, 2, 0}));
  pairs.in_text[3] = false;  // an added token is no piece
  EXPECT_EQ(encode(pairs, "abc"), (Ids{0, 1, 2}));
}

TEST(ByteLevelBpe, AppendsToTheIdsThatAreThere) {
  const ByteLevelBpe bpe(letters({"ab"}, {{0, 1, 3, 0}}));
  ByteLevelBpe::Workspace workspace;
  Ids ids = {7};
  for (const char* piece : {"abc", "", "ba"}) bpe.encode(piece, workspace, ids);
  EXPECT_EQ(ids, (Ids{7, 3, 2, 1, 0}));
}

TEST(ByteLevelBpe, BytesWithoutAToken) {
  BytePairs pairs = letters({"?", "ab"}, {{0, 1, 4, 0}});
  EXPECT_EQ(encode(pairs, "axxb"), (Ids{4}));  // left out before merging
  EXPECT_EQ(encode(pairs, "xx"), (Ids{}));
  pairs.unk = 3;
  EXPECT_EQ(encode(pairs, "axxb"), (Ids{0, 3, 3, 1}));
  pairs.fuse_unk = true;
  EXPECT_EQ(encode(pairs, "xaxxbx"), (Ids{3, 0, 3, 1, 3}));
}

TEST(ByteLevelBpe, AgreesWithTheRuleOnRandomVocabularies) {
  const Random random{3};
  std::uint64_t draw = 0;
  const auto below = [&](std::uint32_t n) { return random.below(draw++, n); };
  for (int vocabulary = 0; vocabulary < 60; ++vocabulary) {
    BytePairs pairs = letters({}, {});
    std::map<std::string, int> ids = {{"a", 0}, {"b", 1}, {"c", 2}};
    std::map<std::pair<int, int>, bool> known;
    for (int rank = 0; rank < 25; ++rank) {
      const auto size = static_cast<std::uint32_t>(pairs.tokens.size());
      const auto left = static_cast<int>(below(size));
      const auto right = static_cast<int>(below(size));
      const std::string both = pairs.tokens[static_cast<std::size_t>(left)] +
                               pairs.tokens[static_cast<std::size_t>(right)];
      if (both.size() > 6 || std::exchange(known[{left, right}], true)) continue;
      const auto [at, fresh] = ids.emplace(both, static_cast<int>(size));
      if (fresh) pairs.tokens.push_back(both);
      // Every third rank stands twice, as in a tiktoken file.
      pairs.merges.push_back({left, right, at->second, rank - (rank % 3 == 0 ? 1 : 0)});
    }
    pairs.in_text.assign(pairs.tokens.size(), true);
    const ByteLevelBpe bpe(pairs);
    ByteLevelBpe::Workspace workspace;
    for (int text = 0; text < 40; ++text) {
      std::string piece;
      const std::uint32_t length = below(30);
      while (piece.size() < length) piece += static_cast<char>('a' + below(3));
      Ids got;
      bpe.encode(piece, workspace, got);
      ASSERT_EQ(got, slowly(pairs, piece)) << piece;
    }
  }
}

// Time: with a search for the best pair over all of them, 2^20 merges would take an hour.
TEST(ByteLevelBpe, ALongPieceOfOneLetter) {
  const BytePairs pairs = letters({"aa", "aaaa"}, {{0, 0, 3, 0}, {3, 3, 4, 1}});
  const std::size_t length = (std::size_t{1} << 20) + 3;
  const Ids ids = encode(pairs, std::string(length, 'a'));
  ASSERT_EQ(ids.size(), (length - 3) / 4 + 2);
  EXPECT_EQ(ids.front(), 4);
  EXPECT_EQ(ids[ids.size() - 2], 3);
  EXPECT_EQ(ids.back(), 0);
}

}  // namespace
}  // namespace qlora
