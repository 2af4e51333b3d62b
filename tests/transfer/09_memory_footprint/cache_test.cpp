// The cache of keys and values, against a walk over all that it holds.
#include "cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/random.h"

namespace qlora {
namespace {

using Lengths = std::vector<std::int64_t>;

constexpr CacheShape kLlama32_3b{28, 8, 128, 2};

std::int64_t cache_of(const CacheShape& shape, Lengths lengths) {
  return cache_bytes(shape, lengths);
}

std::int64_t pages_of(const CacheShape& shape, Lengths lengths, std::int64_t page) {
  return paged_cache_bytes(shape, lengths, page);
}

TEST(Cache, ByHand) {
  // A key and a value of 3 heads of 4 numbers of 2 bytes, in 2 layers, for 5 tokens.
  EXPECT_EQ(cache_of({2, 3, 4, 2}, {5}), 2 * 3 * 4 * 2 * 2 * 5);
}

TEST(Cache, ATokenOfLlama32Of3B) {
  EXPECT_EQ(cache_of(kLlama32_3b, {1}), 114688);
  EXPECT_EQ(cache_of(kLlama32_3b, {131072}), std::int64_t{114688} * 131072);
}

TEST(Cache, RowsAddUp) {
  EXPECT_EQ(cache_of({1, 1, 1, 1}, {3, 0, 11}), 2 * 14);
  EXPECT_EQ(cache_of({1, 1, 1, 1}, {}), 0);
}

TEST(Cache, LocalLayersKeepTheirWindow) {
  const CacheShape alternate{4, 1, 1, 1, 10, 2};
  EXPECT_EQ(cache_of(alternate, {10}), 2 * 4 * 10);
  EXPECT_EQ(cache_of(alternate, {11}), 2 * (2 * 11 + 2 * 10));
  EXPECT_EQ(cache_of(alternate, {3}), 2 * 4 * 3);
  EXPECT_EQ(cache_of(alternate, {1000, 4}), 2 * (2 * 1000 + 2 * 10 + 4 * 4));
}

TEST(Cache, TheLastOfEachGroupIsGlobal) {
  // Seven layers, of each three the last: two are global, and the one behind the groups is local.
  EXPECT_EQ(cache_of({7, 1, 1, 1, 10, 3}, {100}), 2 * (2 * 100 + 5 * 10));
  EXPECT_EQ(cache_of({2, 1, 1, 1, 10, 3}, {100}), 2 * (2 * 10)) << "no group is whole";
  EXPECT_EQ(cache_of({5, 1, 1, 1, 10, 1}, {100}), 2 * (5 * 100)) << "every layer is a group";
}

TEST(Cache, WithoutAWindowAllLayersAreGlobal) {
  EXPECT_EQ(cache_of({6, 2, 8, 2, 0, 6}, {100}), cache_of({6, 2, 8, 2}, {100}));
}

TEST(Paged, APageThatHasBegunCountsWhole) {
  const CacheShape s{3, 1, 1, 1};
  EXPECT_EQ(pages_of(s, {16}, 16), 2 * 3 * 16);
  EXPECT_EQ(pages_of(s, {17}, 16), 2 * 3 * 32);
  EXPECT_EQ(pages_of(s, {1}, 16), 2 * 3 * 16);
  EXPECT_EQ(pages_of(s, {0}, 16), 0);
}

TEST(Paged, EveryRowHasPagesOfItsOwn) {
  EXPECT_EQ(pages_of({1, 1, 1, 1}, {8, 8}, 16), 2 * 2 * 16);
}

TEST(Paged, PagesOfOneTokenAreTheCache) {
  const CacheShape s{7, 2, 3, 2, 10, 3};
  const Lengths lengths{1, 9, 10, 11, 50};
  EXPECT_EQ(paged_cache_bytes(s, lengths, 1), cache_bytes(s, lengths));
}

TEST(Paged, AWindowIsHeldInPagesToo) {
  // The local layer holds 10 tokens, in three pages of 4; the global one 21, in six.
  EXPECT_EQ(pages_of({2, 1, 1, 1, 10, 2}, {21}, 4), 2 * (3 * 4 + 6 * 4));
}

// Every layer, row and token by itself.
struct Walked {
  std::int64_t tokens = 0, pages = 0;
};

Walked walk(const CacheShape& s, const Lengths& lengths, std::int64_t page) {
  Walked w;
  for (const std::int64_t length : lengths) {
    for (std::int64_t layer = 1; layer <= s.layers; ++layer) {
      const bool global = s.window == 0 || layer % s.global_every == 0;
      std::int64_t held = 0;
      for (std::int64_t t = 1; t <= length; ++t) {
        if (global || length - t < s.window) ++held;
      }
      w.tokens += held;
      for (; held > 0; held -= page) ++w.pages;
    }
  }
  return w;
}

TEST(Paged, RandomShapesAgreeWithTheWalk) {
  const Random random{9, 1};
  std::uint64_t draw = 0;
  const auto below = [&](std::uint32_t n) { return std::int64_t{random.below(draw++, n)}; };
  for (int i = 0; i < 200; ++i) {
    const CacheShape s{
        1 + below(12), 1 + below(4), 1 + below(8), 1 + below(4), below(3) == 0 ? 0 : 1 + below(40),
        1 + below(6)};
    const Lengths lengths{below(100), below(100), below(100)};
    const std::int64_t page = 1 + below(32), token = 2 * s.kv_heads * s.head_dim * s.element_bytes;
    const Walked w = walk(s, lengths, page);
    EXPECT_EQ(cache_bytes(s, lengths), w.tokens * token) << i;
    EXPECT_EQ(paged_cache_bytes(s, lengths, page), w.pages * page * token) << i;
  }
}

TEST(Longest, IsTheLastThatFits) {
  const CacheShape s{3, 1, 1, 1};  // 6 bytes a token
  EXPECT_EQ(longest_row(s, 60), 10);
  EXPECT_EQ(longest_row(s, 65), 10);
  EXPECT_EQ(longest_row(s, 59), 9);
}

TEST(Longest, NoneFits) {
  EXPECT_EQ(longest_row({3, 1, 1, 1}, 5), 0);
  EXPECT_EQ(longest_row({3, 1, 1, 1}, 0), 0);
}

TEST(Longest, BeyondTheWindowGlobalLayersAloneGrow) {
  const CacheShape s{4, 1, 1, 1, 10, 4};        // one global layer, three of 10 tokens
  EXPECT_EQ(longest_row(s, 2 * 40), 10);        // the window is just full
  EXPECT_EQ(longest_row(s, 2 * (40 + 7)), 17);  // 2 bytes a token from there on
  EXPECT_EQ(longest_row(s, 2 * 36), 9);
}

TEST(Longest, LocalLayersAloneAreUnbounded) {
  const CacheShape s{3, 1, 1, 1, 10, 4};
  EXPECT_EQ(longest_row(s, 2 * 30), kUnbounded);
  EXPECT_EQ(longest_row(s, 2 * 30 - 1), 9);
}

// 80 GiB hold 748,982 tokens of Llama 3.2 3B: more bytes than 32 bits count.
TEST(Longest, OfALargeCard) {
  EXPECT_EQ(longest_row(kLlama32_3b, std::int64_t{80} << 30), 748982);
  EXPECT_GT(cache_of(kLlama32_3b, {748982}), std::int64_t{79} << 30);
}

}  // namespace
}  // namespace qlora
