// TIES on small cases by hand, and on random ones by its definition.
#include "ties.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;

using Numbers = std::vector<double>;

Numbers merge(const std::vector<Numbers>& updates, const Numbers& weights, double density) {
  std::vector<TiesUpdate> all;
  all.reserve(updates.size());
  for (std::size_t i = 0; i < updates.size(); ++i) all.push_back({updates[i], weights[i]});
  return ties_merge(all, density);
}

TEST(Ties, TrimKeepsTheLargestMagnitudes) {
  EXPECT_EQ(ties_trim(Numbers{0.1, -3, 2, 0.5}, 0.5), (Numbers{0, -3, 2, 0}));
}

TEST(Ties, TrimRoundsTheirNumberDown) {
  EXPECT_EQ(ties_trim(Numbers{1, 2, 3}, 0.5), (Numbers{0, 0, 3}));
  EXPECT_EQ(ties_trim(Numbers{1, 2, 3}, 0.0), (Numbers{0, 0, 0}));
  EXPECT_EQ(ties_trim(Numbers{1, 2, 3}, 1.0), (Numbers{1, 2, 3}));
}

TEST(Ties, OfEqualMagnitudesTheFirstStays) {
  EXPECT_EQ(ties_trim(Numbers{1, -2, 2, 2}, 0.5), (Numbers{0, -2, 2, 0}));
}

TEST(Ties, TheSumElectsTheSign) {
  const std::vector<Numbers> updates{{1, -1, 3, 0}, {1, -1, -1, 0}, {-3, 1, -1, 0}};
  EXPECT_EQ(ties_elect(updates), (std::vector<int>{-1, -1, 1, 1}));
}

TEST(Ties, TheMeanIsOfThoseThatAgree) {
  // place 0: 2 and 4 agree against -1; place 1: only -6; place 2: nobody has a value
  EXPECT_EQ(merge({{2, 1, 0}, {4, -6, 0}, {-1, 2, 0}}, {1, 1, 1}, 1.0), (Numbers{3, -6, 0}));
}

TEST(Ties, AZeroAgreesWithNobody) {
  EXPECT_EQ(merge({{2, -2}, {0, 0}}, {1, 1}, 1.0), (Numbers{2, -2}));
}

TEST(Ties, WeightsCountInTheElectionAndInTheMean) {
  EXPECT_EQ(merge({{2}, {-3}}, {2, 1}, 1.0), (Numbers{4}));
  EXPECT_EQ(merge({{2}, {-3}}, {1, 1}, 1.0), (Numbers{-3}));
  EXPECT_EQ(merge({{2}, {-3}}, {-1, 1}, 1.0), (Numbers{-2.5}))
      << "a negative weight turns it round";
}

TEST(Ties, TrimmingComesBeforeTheWeights) {
  // each update keeps its own largest, however little it counts
  EXPECT_EQ(merge({{1, 5}, {300, 100}}, {1, 0.001}, 0.5), (Numbers{0.3, 5}));
}

TEST(Ties, OneUpdateIsTrimmedAlone) {
  EXPECT_EQ(merge({{3, -1, 2}}, {2}, 0.7), (Numbers{6, 0, 4}));
}

TEST(Ties, RandomUpdatesByTheDefinition) {
  const Random random{13, 1};
  std::vector<Numbers> updates(3, Numbers(50));
  std::uint64_t draw = 0;
  for (Numbers& update : updates) {
    for (double& value : update) value = static_cast<double>(random.normal(draw++));
  }
  const Numbers weights{0.7, 0.4, 1.1};
  const Numbers merged = merge(updates, weights, 0.3);
  for (std::size_t i = 0; i < 50; ++i) {
    double sum = 0, agreeing = 0, count = 0;
    Numbers kept;
    for (std::size_t u = 0; u < 3; ++u) {
      int larger = 0;
      for (const double other : updates[u]) larger += std::abs(other) > std::abs(updates[u][i]);
      kept.push_back(larger < 15 ? weights[u] * updates[u][i] : 0.0);
      sum += kept.back();
    }
    for (const double value : kept) {
      if (value * (sum >= 0 ? 1 : -1) <= 0) continue;
      agreeing += value;
      ++count;
    }
    EXPECT_TRUE(testing::is_close(merged[i], count > 0 ? agreeing / count : 0.0, 1e-15)) << i;
  }
}

TEST(Ties, RefusesWhatHasNoAnswer) {
  EXPECT_THROW(merge({}, {}, 0.5), std::invalid_argument);
  EXPECT_THROW(merge({{1, 2}, {1}}, {1, 1}, 0.5), std::invalid_argument);
  EXPECT_THROW(merge({{1, 2}}, {1}, 1.5), std::invalid_argument);
  EXPECT_THROW(merge({{1, 2}}, {1}, std::numeric_limits<double>::quiet_NaN()),
               std::invalid_argument);
}

}  // namespace
}  // namespace qlora
