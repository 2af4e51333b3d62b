// The suite of the small unit: it leaves a gap, for a mutant that must be reported as a survivor.
#include "mutants/example/clamp.h"

#include <gtest/gtest.h>

namespace qlora::testing {
namespace {

TEST(Clamp, KeepsWhatIsInside) {
  EXPECT_EQ(clamped(3, 0, 5), 3);
}

TEST(Clamp, CutsWhatIsAbove) {
  EXPECT_EQ(clamped(7, 0, 5), 5);
}

TEST(Clamp, SumsTheClamped) {
  EXPECT_EQ(clamped_sum({1, 9, 2}, 0, 5), 8);
}

}  // namespace
}  // namespace qlora::testing
