// Fake quantization of a weight and its straight-through gradient.
#include "quantization/straight_through.h"

#include <algorithm>

#include "fixtures.h"
#include "quantization/fake_quantization.h"
#include "quantization/nf4.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Bytes;
using testing::Floats;

constexpr FakeFormat kNf4{FakeLevels::nf4};

FakeFormat integers(int bits, std::int64_t blocksize, double clip = 1.0) {
  return {FakeLevels::integers, bits, blocksize, clip};
}

Floats faked(const FakeFormat& format, std::int64_t columns, const Floats& w) {
  Floats w_q(w.size(), NAN);
  fake_quantize<float>(format, columns, w, w_q);
  return w_q;
}

// Where the gradient passes: dw out of zeros and dw_q of ones.
Floats passed(const FakeFormat& format, std::int64_t columns, const Floats& w) {
  const Floats ones(w.size(), 1.0f);
  Floats dw(w.size(), 0.0f);
  fake_quantize_backward<float>(format, columns, w, ones, dw);
  return dw;
}

TEST(StraightThrough, IntegersByHand) {
  // three bits: -3 … 3, and a range of 3 makes the step 1; ties go to the even integer (torch 2.15:
  // fake_quantize_per_channel_affine(w, 1, 0, axis, -3, 3) gives the same)
  const Floats w{3.0f, 1.4f, -1.6f, 0.5f, 1.5f, -2.5f, -0.2f};
  EXPECT_EQ(faked(integers(3, 7), 7, w), (Floats{3, 1, -2, 0, 2, -2, -0.0f}));
}

TEST(StraightThrough, IntegersAreThoseOfEachBlocksAbsmax) {
  const std::int64_t n = 21 * 15;
  for (const auto& [name, w] : testing::shapes_of_data(static_cast<std::size_t>(n))) {
    for (const int bits : {2, 3, 4, 8}) {
      for (const std::int64_t block : {std::int64_t{1}, std::int64_t{64}, n}) {
        Floats expected(w.size());
        fake_quantize_absmax(w, bits, block, expected);
        EXPECT_EQ(faked(integers(bits, block), 21, w), expected) << name << " " << bits << " bits";
      }
    }
  }
}

TEST(StraightThrough, Nf4IsQuantizingAndRestoring) {
  for (const auto& [name, w] : testing::shapes_of_data(7 * 43)) {  // the last block is short
    Bytes packed((w.size() + 1) / 2);
    Floats absmax((w.size() + 63) / 64), expected(w.size());
    quantize_nf4(w, 64, packed, absmax);
    dequantize_nf4(packed, absmax, 64, expected);
    EXPECT_EQ(faked(kNf4, 43, w), expected) << name;
  }
}

TEST(StraightThrough, Nf4DecidesByItsOwnThresholds) {
  Floats w{1.0f}, expected{1.0f};
  for (std::size_t k = 0; k < kNf4Thresholds.size(); ++k) {
    w.insert(w.end(), {kNf4Thresholds[k], testing::next_up(kNf4Thresholds[k])});
    expected.insert(expected.end(), {kNf4Code[k], kNf4Code[k + 1]});
  }
  EXPECT_EQ(faked(kNf4, static_cast<std::int64_t>(w.size()), w), expected);
}

TEST(StraightThrough, AnotherQuantizationChangesNothing) {
  const Floats w = testing::normal_values(320, 4);
  for (const FakeFormat& format : {kNf4, integers(4, 64), integers(2, kRangePerRow)}) {
    const Floats once = faked(format, 40, w), twice = faked(format, 40, once);
    for (std::size_t i = 0; i < w.size(); ++i) {
      EXPECT_TRUE(testing::is_close(twice[i], once[i], 0, 2 * 0x1p-23));  // s is rounded once more
    }
  }
}

TEST(StraightThrough, ARangeForARowAndOneForAll) {
  const Floats w{1.0f, 0.4f, 10.0f, 4.0f};  // two bits: -r, 0 or r
  EXPECT_EQ(faked(integers(2, kRangePerRow), 2, w), (Floats{1, 0, 10, 0}));
  EXPECT_EQ(faked(integers(2, kRangePerTensor), 2, w), (Floats{0, 0, 10, 0}));
  EXPECT_EQ(faked(integers(2, 1), 2, w), w);
}

TEST(StraightThrough, AClipCutsTheLargestOff) {
  const Floats w{4.0f, -4.0f, 2.0f, 1.1f, -0.9f, 3.0f};  // r = 2, and three bits make s = 2/3
  const Floats w_q = faked(integers(3, 6, 0.5), 6, w);
  const double expected[] = {2, -2, 2, 4.0 / 3, -2.0 / 3, 2};
  for (std::size_t i = 0; i < w.size(); ++i) {
    EXPECT_TRUE(testing::is_close(w_q[i], expected[i], 0, 2 * 0x1p-24)) << i;
  }
  EXPECT_EQ(faked({FakeLevels::nf4, 4, 6, 0.5}, 6, w)[5], 2.0f);
}

TEST(StraightThrough, ZerosStayFinite) {
  const Floats zeros(70, 0.0f);
  EXPECT_EQ(faked(integers(4, 64), 70, zeros), zeros);
  EXPECT_EQ(faked(kNf4, 70, zeros), zeros);
  EXPECT_EQ(passed(integers(4, 64), 70, zeros), Floats(70, 1.0f));  // a zero has to learn, too
}

TEST(StraightThrough, DoubleHasTheSameLevels) {
  const Floats w = testing::normal_values(160, 6);
  const std::vector<double> wide(w.begin(), w.end());
  for (const FakeFormat& format : {kNf4, integers(3, 64, 0.75), integers(4, kRangePerRow)}) {
    std::vector<double> w_q(w.size(), NAN), dw(w.size(), 0.0);
    fake_quantize<double>(format, 40, wide, w_q);
    const Floats single = faked(format, 40, w);
    for (std::size_t i = 0; i < w.size(); ++i) {
      EXPECT_TRUE(testing::is_close(single[i], w_q[i], 0, 4 * 0x1p-24)) << i;
    }
    fake_quantize_backward<double>(format, 40, wide, wide, dw);
    const Floats mask = passed(format, 40, w);
    for (std::size_t i = 0; i < w.size(); ++i) EXPECT_EQ(dw[i], mask[i] * wide[i]) << i;
  }
}

TEST(StraightThrough, GradientIsPassedOnThoughTheStaircaseIsFlat) {
  const Floats w = testing::normal_values(320, 7);
  for (const FakeFormat& format : {kNf4, integers(2, 64), integers(4, kRangePerTensor)}) {
    // all of it: the largest of a block is within its range
    EXPECT_EQ(passed(format, 40, w), Floats(w.size(), 1.0f));
    Floats nudged = w;
    nudged[5] += 1e-6f;  // no step of the staircase, and no new absmax, is that near
    EXPECT_EQ(faked(format, 40, nudged), faked(format, 40, w));
  }
}

TEST(StraightThrough, GradientsKeepTheirSizeAndAreAddedUp) {
  const Floats w{0.1f, 5.0f, -0.3f}, dw_q{0.5f, -2.0f, 8.0f};
  Floats dw{1.0f, 1.0f, 1.0f};
  fake_quantize_backward<float>(integers(3, 3), 3, w, dw_q, dw);
  EXPECT_EQ(dw, (Floats{1.5f, -1.0f, 9.0f}));
}

TEST(StraightThrough, WhatIsCutOffGetsNoGradient) {
  // r = 2: 2 itself is still inside. 2.1 is rounded to the same level as 2, and is outside.
  const Floats w{4.0f, 2.0f, -2.0f, 2.1f, -2.1f, 0.0f, -4.0f};
  EXPECT_EQ(passed(integers(3, 7, 0.5), 7, w), (Floats{0, 1, 1, 0, 0, 1, 0}));
  EXPECT_EQ(passed({FakeLevels::nf4, 4, 7, 0.5}, 7, w), (Floats{0, 1, 1, 0, 0, 1, 0}));
}

TEST(StraightThrough, TheRangeIsTheForwardPasss) {
  const Floats w{1.0f, 0.6f, 0.3f, 10.0f, 6.0f, 3.0f, 100.0f};
  EXPECT_EQ(passed(integers(4, 3, 0.5), 7, w), (Floats{0, 0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(passed(integers(4, kRangePerTensor, 0.5), 7, w), (Floats{1, 1, 1, 1, 1, 1, 0}));
  const Floats rows{1.0f, 0.3f, 10.0f, 3.0f};
  EXPECT_EQ(passed(integers(4, kRangePerRow, 0.5), 2, rows), (Floats{0, 1, 0, 1}));
}

TEST(StraightThrough, GradientIsThatOfTheClampedWeight) {
  // What the estimator puts in the staircase's place is clamp(w, -r, r) of a constant r: that can
  // be differentiated, and finite differences see the same gradient of Σ g ⊙ clamp(w).
  const Tensor w = testing::normal_tensor({5, 8}, 8), g = testing::normal_tensor({5, 8}, 9);
  const FakeFormat format = integers(4, kRangePerTensor, 0.6);
  double largest = 0;
  for (const double x : w.span<double>()) largest = std::max(largest, std::abs(x));
  const double r = 0.6 * largest;
  const Tensor dw = Tensor::zeros(DType::f64, w.shape());
  fake_quantize_backward<double>(format, 8, w.span<double>(), g.span<double>(), dw.span<double>());
  const auto loss = [&] {
    double sum = 0;
    for (std::int64_t i = 0; i < w.numel(); ++i) {
      sum += g.data<double>()[i] * std::clamp(w.data<double>()[i], -r, r);
    }
    return sum;
  };
  EXPECT_TRUE(testing::matches_finite_differences(loss, w, dw));
}

TEST(StraightThrough, RefusesWhatDoesNotFit) {
  Floats w(12), out(12), three(3);
  const auto forward = [&](const FakeFormat& format, std::int64_t columns) {
    fake_quantize<float>(format, columns, w, out);
  };
  EXPECT_NO_THROW(forward(kNf4, 4));
  EXPECT_THROW(forward(kNf4, 5), std::invalid_argument);
  EXPECT_THROW(forward(kNf4, 0), std::invalid_argument);
  EXPECT_THROW(forward(integers(1, 64), 4), std::invalid_argument);
  EXPECT_THROW(forward(integers(17, 64), 4), std::invalid_argument);
  EXPECT_THROW(forward(integers(4, -2), 4), std::invalid_argument);
  EXPECT_THROW(forward(integers(4, 64, 0.0), 4), std::invalid_argument);
  EXPECT_THROW(forward(integers(4, 64, 1.5), 4), std::invalid_argument);
  EXPECT_THROW(fake_quantize<float>(kNf4, 4, w, three), std::invalid_argument);
  EXPECT_THROW(fake_quantize_backward<float>(kNf4, 4, w, three, out), std::invalid_argument);
  EXPECT_THROW(fake_quantize_backward<float>(kNf4, 4, w, w, three), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
