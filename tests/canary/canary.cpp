// Tests of which most must not pass: they prove that the harness can say so. Not among the suites;
// canary.cmake runs each of them alone and checks how it ends.
#include <gtest/gtest.h>

#include <limits>

#include "support/golden.h"
#include "support/matcher.h"

namespace qlora::testing {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Canary, Passes) {
  EXPECT_TRUE(is_close(1.0, 1.5, 0.5));
}

TEST(Canary, Fails) {
  EXPECT_TRUE(is_close(1.0, 2.0, 0.5));
}

TEST(Canary, Skips) {
  SKIP_WITHOUT_ASSETS();
  FAIL() << "ran, though COURSE_ASSETS is not set";
}

TEST(Canary, RefusesNaN) {
  EXPECT_TRUE(is_close(kNaN, 1.0, 1e300));
}

TEST(Canary, RefusesNaNForNaN) {
  EXPECT_TRUE(is_close(kNaN, kNaN, 1e300));
}

TEST(Canary, Throws) {
  throw std::runtime_error("an exception that nothing expects");
}

}  // namespace
}  // namespace qlora::testing
