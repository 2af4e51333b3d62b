// Counting in a mixture of experts: against published models, and against walking over a small one
// element by element.
#include "experts.h"

#include <gtest/gtest.h>

#include <functional>
#include <ostream>

namespace qlora {

void PrintTo(const ExpertsShape& s, std::ostream* out) {
  *out << "L" << s.L << " C" << s.C << " H" << s.H << " K" << s.K << " D" << s.D << " F" << s.F
       << " E" << s.E << " k" << s.k << " V" << s.V;
}

namespace {

// No two sizes are equal, and H·D is not C.
constexpr ExpertsShape kSmall{3, 10, 6, 2, 4, 7, 5, 2, 13};
constexpr ExpertsShape kMixtral8x7B{32, 4096, 32, 8, 128, 14336, 8, 2, 32000};
constexpr ExpertsShape kMixtral8x22B{56, 6144, 48, 8, 128, 16384, 8, 2, 32000};

constexpr ExpertsTargets kNone{}, kAttention{true, false, false}, kRouter{false, true, false},
    kExperts{false, false, true}, kAll{true, true, true};

// Calls f(in, out, expert) for every linear map; expert is -1 outside of the experts, and the
// router has the expert -2.
void for_each_map(const ExpertsShape& s,
                  const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& f) {
  for (std::int64_t layer = 0; layer < s.L; ++layer) {
    f(s.C, s.H * s.D, -1);
    f(s.C, s.K * s.D, -1);
    f(s.C, s.K * s.D, -1);
    f(s.H * s.D, s.C, -1);
    f(s.C, s.E, -2);
    for (std::int64_t expert = 0; expert < s.E; ++expert) {
      f(s.C, s.F, expert);
      f(s.C, s.F, expert);
      f(s.F, s.C, expert);
    }
  }
}

// Elements of the model, counted one by one, with the first `experts` experts of each layer.
std::int64_t elements(const ExpertsShape& s, std::int64_t experts) {
  std::int64_t n = 0;
  const auto walk = [&](std::int64_t rows, std::int64_t columns) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) ++n;
    }
  };
  for_each_map(s, [&](std::int64_t in, std::int64_t out, std::int64_t expert) {
    if (expert < experts) walk(out, in);
  });
  walk(2, s.V * s.C);      // embedding and head
  walk(2 * s.L + 1, s.C);  // norms
  return n;
}

// Elements of A and B on the targets.
std::int64_t adapter_elements(const ExpertsShape& s, const ExpertsTargets& t, std::int64_t R,
                              std::int64_t experts) {
  std::int64_t n = 0;
  for_each_map(s, [&](std::int64_t in, std::int64_t out, std::int64_t expert) {
    const bool wanted = expert == -1   ? t.attention
                        : expert == -2 ? t.router
                                       : t.experts && expert < experts;
    if (!wanted) return;
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t i = 0; i < in; ++i) ++n;
      for (std::int64_t o = 0; o < out; ++o) ++n;
    }
  });
  return n;
}

TEST(Experts, SmallModelElementByElement) {
  EXPECT_EQ(experts_parameters(kSmall), elements(kSmall, kSmall.E));
}

TEST(Experts, PublishedTotals) {
  // What the hub shows for the published weights: 46.7 and 141 billion.
  EXPECT_EQ(experts_parameters(kMixtral8x7B), 46'702'792'704);
  EXPECT_EQ(experts_parameters(kMixtral8x22B), 140'620'634'112);
}

TEST(Experts, ATokenGoesThroughSomeExpertsOnly) {
  EXPECT_EQ(experts_active_parameters(kSmall), elements(kSmall, kSmall.k));
  EXPECT_EQ(experts_active_parameters(kMixtral8x7B), 12'879'925'248);  // "12.9B active"
}

TEST(Experts, WithAllExpertsActiveBothCountsAgree) {
  ExpertsShape shape = kSmall;
  shape.k = shape.E;
  EXPECT_EQ(experts_active_parameters(shape), experts_parameters(shape));
  EXPECT_EQ(experts_active_lora_parameters(shape, kAll, 3),
            experts_lora_parameters(shape, kAll, 3));
}

TEST(Experts, AdaptersOnAttention) {
  EXPECT_EQ(experts_lora_parameters(kSmall, kAttention, 3),
            adapter_elements(kSmall, kAttention, 3, kSmall.E));
  // q and o 4096 + 4096, k and v 4096 + 1024: 26,624 a layer and rank.
  EXPECT_EQ(experts_lora_parameters(kMixtral8x7B, kAttention, 16), 16 * 32 * 26'624);
}

TEST(Experts, AdaptersOnTheRouter) {
  EXPECT_EQ(experts_lora_parameters(kSmall, kRouter, 3),
            adapter_elements(kSmall, kRouter, 3, kSmall.E));
  EXPECT_EQ(experts_lora_parameters(kMixtral8x7B, kRouter, 4), 4 * 32 * (4096 + 8));
}

TEST(Experts, EveryExpertHasAdaptersOfItsOwn) {
  EXPECT_EQ(experts_lora_parameters(kSmall, kExperts, 3),
            adapter_elements(kSmall, kExperts, 3, kSmall.E));
  EXPECT_EQ(experts_lora_parameters(kMixtral8x7B, kExperts, 8),
            std::int64_t{8} * 32 * 8 * 3 * (4096 + 14336));
}

TEST(Experts, TargetsAddUp) {
  const std::int64_t sum = experts_lora_parameters(kSmall, kAttention, 5) +
                           experts_lora_parameters(kSmall, kRouter, 5) +
                           experts_lora_parameters(kSmall, kExperts, 5);
  EXPECT_EQ(experts_lora_parameters(kSmall, kAll, 5), sum);
  EXPECT_EQ(experts_lora_parameters(kSmall, kNone, 5), 0);
}

TEST(Experts, ActiveAdaptersFollowTheRouting) {
  for (const ExpertsTargets& targets : {kNone, kAttention, kRouter, kExperts, kAll}) {
    EXPECT_EQ(experts_active_lora_parameters(kSmall, targets, 3),
              adapter_elements(kSmall, targets, 3, kSmall.k));
  }
}

}  // namespace
}  // namespace qlora
