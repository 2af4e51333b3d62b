// The choice of a token against the same choice from a list that is sorted whole.
#include "llama/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "core/random.h"

namespace qlora {
namespace {

// Logits with many ties: multiples of a quarter.
std::vector<float> some_logits(std::size_t count, std::uint64_t stream) {
  const Random random{11, stream};
  std::vector<float> logits(count);
  for (std::size_t i = 0; i < count; ++i) logits[i] = std::round(8.0f * random.normal(i)) / 4.0f;
  return logits;
}

// Ids, the most likely first, ties by the lower id.
std::vector<std::int32_t> sorted_ids(const std::vector<float>& logits) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::sort(ids.begin(), ids.end(), [&](auto a, auto b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  });
  return ids;
}

// The ids that a draw may give, with their probabilities.
std::map<std::int32_t, double> distribution(const std::vector<float>& logits, const Sampling& s) {
  std::vector<std::int32_t> ids = sorted_ids(logits);
  if (s.top_k > 0) ids.resize(std::min(ids.size(), static_cast<std::size_t>(s.top_k)));
  const auto mass = [&](std::int32_t id) {
    return std::exp(static_cast<double>(logits[static_cast<std::size_t>(id)]) / s.temperature);
  };
  double total = 0;
  for (const std::int32_t id : ids) total += mass(id);
  double kept = 0;
  std::size_t count = 0;
  while (count < ids.size() && (count == 0 || kept <= s.top_p * total)) kept += mass(ids[count++]);
  std::map<std::int32_t, double> out;
  for (std::size_t i = 0; i < count; ++i) out[ids[i]] = mass(ids[i]) / kept;
  return out;
}

TEST(Sampling, GreedyIsTheFirstOfTheLargest) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 2, 3}, {}, 0), 1);
  const auto logits = some_logits(1000, 1);
  EXPECT_EQ(sample(logits, {}, 7), sorted_ids(logits)[0]);
}

// A draw is in the allowed set, and frequencies of 5,000 draws are within five standard deviations
// of the probabilities, for each id that is drawn with a chance of a hundredth or more.
TEST(Sampling, DrawsFollowTemperatureTopKAndTopP) {
  const auto logits = some_logits(300, 2);
  for (const Sampling& s :
       {Sampling{1.0, 0, 1.0, 5}, Sampling{0.5, 0, 1.0, 6}, Sampling{1.0, 7, 1.0, 7},
        Sampling{2.0, 0, 0.6, 8}, Sampling{0.7, 100, 0.9, 9}, Sampling{1.0, 0, 0.0, 10}}) {
    const auto expected = distribution(logits, s);
    constexpr std::uint64_t kDraws = 5000;
    std::map<std::int32_t, double> counts;
    for (std::uint64_t i = 0; i < kDraws; ++i) ++counts[sample(logits, s, i)];
    for (const auto& [id, n] : counts) ASSERT_TRUE(expected.contains(id)) << id;
    for (const auto& [id, p] : expected) {
      if (p < 0.01) continue;
      EXPECT_NEAR(counts[id] / kDraws, p, 5 * std::sqrt(p * (1 - p) / kDraws)) << id;
    }
  }
}

// The sorted list is walked to its end where the draw falls there, and one token is always kept.
TEST(Sampling, TheEndOfTheList) {
  const std::vector<float> equal(500, 0.25f);
  std::vector<bool> seen(500);
  for (std::uint64_t i = 0; i < 10000; ++i) {
    seen[static_cast<std::size_t>(sample(equal, {1.0, 0, 1.0, 3}, i))] = true;
  }
  EXPECT_GT(std::count(seen.begin(), seen.end(), true), 498);
  EXPECT_EQ(sample(std::vector<float>{0.5f}, {1.0, 4, 0.1, 3}, 9), 0);
}

}  // namespace
}  // namespace qlora
