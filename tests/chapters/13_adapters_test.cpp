// Chapter 13's claims: they hold for the course's inputs, and follow other inputs.
#include "13_adapters/claims.h"

#include <gtest/gtest.h>

#include "chapters/chapter_claims.h"

namespace qlora::chapter13 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"13_adapters"};

TEST(Chapter13, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter13, SizesFollowTheModelAndTheRank) {
  kClaims.expect_follow({"AD-01"}, [](CourseInputs& in) { in.small_rank = 8; });
  kClaims.expect_follow({"AD-03", "AD-06", "AD-07", "AD-08", "AD-09", "AD-10"},
                        [](CourseInputs& in) { in.lite_rank = 16; });
  kClaims.expect_follow({"AD-02"}, [](CourseInputs& in) { in.vocabulary = 32000; });
  kClaims.expect_follow({"AD-01", "AD-02", "AD-03", "AD-11", "AD-13"},
                        [](CourseInputs& in) { in.layers = 16; });
  kClaims.expect_follow({"AD-08"}, [](CourseInputs& in) { in.layer[1].N = 512; });
}

}  // namespace
}  // namespace qlora::chapter13
