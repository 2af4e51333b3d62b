// A group of linear layers of which passes see one projection quantized and restored.
#include <gtest/gtest.h>

#include "linear_run.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::LinearRun;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;

constexpr std::int64_t kK = 7, kN = 8;

const std::vector<FakeFormat> kFormats{{FakeLevels::nf4, 4, 6, 1.0},
                                       {FakeLevels::integers, 3, kRangePerRow, 1.0},
                                       {FakeLevels::integers, 2, kRangePerTensor, 1.0},
                                       {FakeLevels::integers, 4, 10, 0.7}};

// Projections of three and five rows, of which the second has the format.
LinearGroup dense_group() {
  LinearGroup group;
  group.K = kK;
  group.weight = normal_tensor({kN, kK}, 1);
  group.grad_weight = Tensor::zeros(DType::f64, {kN, kK});
  for (const std::int64_t N : {3, 5}) {
    Projection p;
    p.N = N;
    group.parts.push_back(p);
  }
  return group;
}

LinearGroup fake_group(const FakeFormat& format) {
  LinearGroup group = dense_group();
  group.parts[1].fake = format;
  return group;
}

// The group whose weight is what passes see of the other.
LinearGroup replaced(const FakeFormat& format) {
  LinearGroup group = dense_group();
  const Tensor rows = group.weight.rows(3, kN), w = rows.clone();
  ops::fake_quantize(format, w, rows);
  return group;
}

TEST(StraightThroughLinear, IsTheLinearOfTheQuantizedWeight) {
  for (const FakeFormat& format : kFormats) {
    const LinearGroup group = fake_group(format), other = replaced(format);
    const LinearRun pass(group, {}), expected(other, {});
    EXPECT_TRUE(same_bytes(pass.y, expected.y));
    EXPECT_TRUE(same_bytes(pass.dx, expected.dx));
    EXPECT_TRUE(same_bytes(group.weight, dense_group().weight));  // the master weight stays
  }
}

TEST(StraightThroughLinear, WeightGradientIsThatOfTheQuantizedWeightWhereNothingIsCutOff) {
  for (const FakeFormat& format : kFormats) {
    const LinearGroup group = fake_group(format), other = replaced(format);
    const LinearRun pass(group, {}), expected(other, {});
    const Tensor passed = Tensor::zeros(DType::f64, {5, kK}), w = group.weight.rows(3, kN);
    ops::fake_quantize_backward(format, w, other.grad_weight.rows(3, kN), passed);
    // products of four terms, in the same order
    EXPECT_TRUE(
        testing::all_close(group.grad_weight.rows(0, 3), other.grad_weight.rows(0, 3), 1e-14));
    EXPECT_TRUE(testing::all_close(group.grad_weight.rows(3, kN), passed, 1e-14));
    const bool cuts = format.clip < 1;
    EXPECT_EQ(static_cast<bool>(same_bytes(passed, other.grad_weight.rows(3, kN))), !cuts);
  }
}

TEST(StraightThroughLinear, GradientsOfInputAndResidualMatchFiniteDifferences) {
  for (const FakeFormat& format : kFormats) {
    const LinearGroup group = fake_group(format);
    LinearRun pass(group, {});
    const auto f = [&] { return pass.loss(); };
    EXPECT_TRUE(matches_finite_differences(f, pass.x, pass.dx));
    EXPECT_TRUE(matches_finite_differences(f, pass.residual, pass.w));
    // The projection without a format has a gradient in the ordinary sense.
    EXPECT_TRUE(
        matches_finite_differences(f, group.weight.rows(0, 3), group.grad_weight.rows(0, 3)));
  }
}

TEST(StraightThroughLinear, GradientsAreAddedUp) {
  const LinearGroup group = fake_group(kFormats[3]);
  LinearRun pass(group, {});
  const Tensor once = group.grad_weight.clone();
  ops::linear_backward(group, pass.x, {}, {}, pass.w, pass.arena, pass.dx);
  for (double& g : once.span<double>()) g *= 2;
  EXPECT_TRUE(testing::all_close(group.grad_weight, once, 1e-13));
}

TEST(StraightThroughLinear, AnAdapterBesideItLearnsAsOnTheQuantizedWeight) {
  const auto with_adapter = [](LinearGroup group) {
    Adapter a;
    a.A = normal_tensor({2, kK}, 10);
    a.B = normal_tensor({5, 2}, 11);
    a.grad_A = Tensor::zeros(DType::f64, {2, kK});
    a.grad_B = Tensor::zeros(DType::f64, {5, 2});
    group.parts[1].adapters.push_back(a);
    group.grad_weight = Tensor();
    return group;
  };
  for (const FakeFormat& format : kFormats) {
    const LinearGroup group = with_adapter(fake_group(format)),
                      other = with_adapter(replaced(format));
    const LinearRun pass(group, {}), expected(other, {});
    EXPECT_TRUE(same_bytes(pass.y, expected.y));
    EXPECT_TRUE(same_bytes(pass.dx, expected.dx));
    EXPECT_TRUE(same_bytes(group.parts[1].adapters[0].grad_B, other.parts[1].adapters[0].grad_B));
  }
}

TEST(StraightThroughLinear, RefusesWhatDoesNotFit) {
  const Tensor w = normal_tensor({3, 4}, 1), other = normal_tensor({4, 3}, 2),
               single = Tensor::zeros(DType::f32, {3, 4});
  EXPECT_THROW(ops::fake_quantize({}, w, other), std::invalid_argument);
  EXPECT_THROW(ops::fake_quantize({}, w, single), std::invalid_argument);
  EXPECT_THROW(ops::fake_quantize_backward({}, w, other, w), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
