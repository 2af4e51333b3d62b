// The matcher that all suites compare with: what it must refuse.
#include "support/matcher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace qlora::testing {
namespace {

using Values = std::vector<double>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Matcher, TheBoundIsAbsolutePlusRelative) {
  EXPECT_TRUE(all_close(Values{1.0, 4.5}, Values{1.0, 4.0}, 0.5));
  EXPECT_FALSE(all_close(Values{1.0, 4.75}, Values{1.0, 4.0}, 0.5));
  EXPECT_TRUE(all_close(Values{4.75}, Values{4.0}, 0.25, 0.125));
  EXPECT_FALSE(all_close(Values{5.0}, Values{4.0}, 0.25, 0.125));
  EXPECT_TRUE(all_close(Values{-4.5}, Values{-4.0}, 0.0, 0.125));  // of |expected|
}

TEST(Matcher, ANaNNeverPasses) {
  EXPECT_FALSE(is_close(kNaN, 1.0, 1e300));
  EXPECT_FALSE(is_close(1.0, kNaN, 1e300));
  EXPECT_FALSE(is_close(kNaN, kNaN, kInf));
  EXPECT_FALSE(is_close(1.0, 1.5, kNaN));
}

TEST(Matcher, InfinitiesPassOnlyWhereTheyAreEqual) {
  EXPECT_TRUE(is_close(kInf, kInf, 0.0));
  EXPECT_FALSE(is_close(kInf, -kInf, 1e300));
  EXPECT_FALSE(is_close(1.0, kInf, 1.0, 1.0));  // an infinite bound allows nothing
  EXPECT_FALSE(is_close(kInf, 1.0, 1.0, 1.0));
}

TEST(Matcher, OtherSizesAndShapesFail) {
  EXPECT_FALSE(all_close(Values{1.0}, Values{1.0, 1.0}, 1.0));
  EXPECT_FALSE(all_close(Values{1.0, 1.0}, Values{1.0}, 1.0));
  EXPECT_TRUE(all_close(Values{}, Values{}, 0.0));
  EXPECT_FALSE(
      all_close(Tensor::zeros(DType::f32, {2, 3}), Tensor::zeros(DType::f32, {3, 2}), 1.0));
  EXPECT_TRUE(all_close(Tensor::zeros(DType::f32, {2}), Tensor::zeros(DType::f64, {2}), 0.0));
}

TEST(Matcher, SaysWhichElementIsWorst) {
  const auto result = all_close(Values{1.0, 2.5, 9.0}, Values{1.0, 2.0, 3.0}, 0.25);
  EXPECT_STREQ(result.message(),
               "2 of 3 elements differ; element 2 is 9, expected 3, off by 6, allowed 0.25");
}

TEST(Matcher, CloseToLargestScalesWithTheTensor) {
  const Tensor expected = Tensor::from<float>(std::vector{0.0f, -8.0f}, {2});
  EXPECT_TRUE(
      close_to_largest(Tensor::from<float>(std::vector{1.0f, -8.0f}, {2}), expected, 0.125));
  EXPECT_FALSE(
      close_to_largest(Tensor::from<float>(std::vector{1.5f, -8.0f}, {2}), expected, 0.125));
}

TEST(Matcher, SameBytesTellsZerosApartAndLooksAtTheType) {
  const Tensor zero = Tensor::zeros(DType::f32, {3});
  EXPECT_TRUE(same_bytes(zero, zero.clone()));
  EXPECT_FALSE(same_bytes(zero, Tensor::from<float>(std::vector{0.0f, 0.0f, -0.0f}, {3})));
  EXPECT_FALSE(same_bytes(zero, Tensor::zeros(DType::i32, {3})));
  EXPECT_FALSE(same_bytes(zero, Tensor::zeros(DType::f32, {3, 1})));
}

}  // namespace
}  // namespace qlora::testing
