// Chapter 5's claims: they hold for the course's inputs, and follow other inputs.
#include <gtest/gtest.h>

#include <functional>

#include "05_lora_decomposition/claims.h"
#include "chapters/chapter_claims.h"
#include "core/error.h"

namespace qlora::chapter05 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"05_lora_decomposition"};

TEST(Chapter05, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter05, TheFirstExampleFollowsItsSizes) {
  kClaims.expect_follow({"LD-03", "LD-04", "LD-05"}, [](CourseInputs& in) { in.change_side = 5; });
  kClaims.expect_follow({"LD-03", "LD-04"}, [](CourseInputs& in) { in.change_rank = 2; });
}

TEST(Chapter05, TheWorkedLayerFollowsItsSizes) {
  kClaims.expect_follow({"LD-07", "LD-08", "LD-09", "LD-10", "LD-11", "LD-12", "LD-22"},
                        [](CourseInputs& in) { in.example_in = 2048; });
  kClaims.expect_follow({"LD-08", "LD-09", "LD-10", "LD-11", "LD-12"},
                        [](CourseInputs& in) { in.example_out = 2048; });
  kClaims.expect_follow({"LD-07", "LD-11", "LD-12", "LD-22"},
                        [](CourseInputs& in) { in.example_rank = 8; });
}

TEST(Chapter05, RankIsMeasured) {
  kClaims.expect_follow({"LD-06", "LD-49"}, [](CourseInputs& in) { in.product_rank = 6; });
  kClaims.expect_follow({"LD-06"}, [](CourseInputs& in) { in.product_side = 48; });
}

TEST(Chapter05, TheFactorFollowsAlphaAndRank) {
  kClaims.expect_follow({"LD-13", "LD-14", "LD-18"},
                        [](CourseInputs& in) { in.alpha_factor = 4.0; });
  kClaims.expect_follow({"LD-13", "LD-14", "LD-18", "LD-29", "LD-40", "LD-46"},
                        [](CourseInputs& in) { in.alpha_rank = 16; });
  kClaims.expect_follow({"LD-13"}, [](CourseInputs& in) { in.llama2_alpha = 32.0; });
  kClaims.expect_follow({"LD-13"}, [](CourseInputs& in) { in.llama2_rank = 32; });
}

TEST(Chapter05, TheModelFollowsItsShape) {
  kClaims.expect_follow(
      {"LD-05", "LD-25", "LD-28", "LD-29", "LD-30", "LD-31", "LD-40", "LD-45", "LD-46"},
      [](CourseInputs& in) { in.layer[0].N = 4096; });
  kClaims.expect_follow({"LD-15"}, [](CourseInputs& in) { in.layer[1].N = 512; });
  kClaims.expect_follow({"LD-48"}, [](CourseInputs& in) { in.layer[4].N = 9216; });
  kClaims.expect_follow({"LD-30", "LD-31", "LD-44"}, [](CourseInputs& in) { in.layers = 30; });
  kClaims.expect_follow({"LD-38", "LD-40", "LD-46"},
                        [](CourseInputs& in) { in.vocabulary = 32000; });
  kClaims.expect_follow({"LD-32"}, [](CourseInputs& in) { in.typical_ranks = {8, 16}; });
  kClaims.expect_follow({"LD-30"}, [](CourseInputs& in) { in.odd_rank = 12; });
  kClaims.expect_follow({"LD-25", "LD-28", "LD-31"}, [](CourseInputs& in) { in.module_rank = 8; });
  kClaims.expect_follow({"LD-37", "LD-43", "LD-44"}, [](CourseInputs& in) { in.layer.pop_back(); });
}

TEST(Chapter05, AWrongInputFails) {
  CourseInputs inputs;
  inputs.example_rank = 8;
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

}  // namespace
}  // namespace qlora::chapter05
