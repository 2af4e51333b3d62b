// Chapter 16's claims: they hold for the course's inputs, and follow other inputs.
#include "16_dora/claims.h"

#include <gtest/gtest.h>

#include "chapters/chapter_claims.h"

namespace qlora::chapter16 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"16_dora"};

TEST(Chapter16, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter16, MagnitudesFollowTheRowsAndTheLayers) {
  kClaims.expect_follow({"DO-01"}, [](CourseInputs& in) { in.rows[1] = 512; });
  kClaims.expect_follow({"DO-01"}, [](CourseInputs& in) { in.layers = 16; });
}

}  // namespace
}  // namespace qlora::chapter16
