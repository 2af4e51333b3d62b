// DoRA of one linear: against the dense matrix it stands for, and finite differences in double.
#include "lora/dora.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lora_example.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::at;
using testing::Example;
using testing::filled;
using testing::kNaN;
using testing::kRounding;
using testing::linear;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;
using testing::sum;
using testing::weighted_sum;

// The adapter with a weight, and magnitudes that are not its lengths.
struct DoraExample : Example {
  Tensor W = normal_tensor({N, K}, 4), m = normal_tensor({N}, 5), norm = filled({N}, kNaN);

  void take_norm() const { dora_norm(weights(), W.data<double>(), norm.data<double>()); }
  // y: of x · Wᵀ becomes that of the adapted weight; with `base`, see dora_forward.
  void forward(const Tensor& base, const Tensor& y) const {
    dora_forward(weights(), m.data<double>(), norm.data<double>(), T, x.data<double>(),
                 base ? base.data<double>() : nullptr, u.data<double>(), y.data<double>(),
                 y.dim(1));
  }
  void backward(const Tensor& base, const Tensor& dy, const Tensor& dm, const Tensor& g) const {
    dora_backward(weights(), m.data<double>(), norm.data<double>(), T, u.data<double>(),
                  base.data<double>(), dy.data<double>(), dy.dim(1), dm.data<double>(),
                  g.data<double>());
  }
  double length(const Tensor& matrix, std::int64_t n) const {
    double squares = 0;
    for (std::int64_t k = 0; k < K; ++k) squares += at(matrix, n, k) * at(matrix, n, k);
    return std::sqrt(squares);
  }
  // m / ‖W + s·B·A‖ ⊙ (W + s·B·A), by its definition.
  Tensor adapted() const {
    Tensor V = sum(W, delta());
    for (std::int64_t n = 0; n < N; ++n) {
      const double scale = m.data<double>()[n] / length(V, n);
      for (std::int64_t k = 0; k < K; ++k) V.data<double>()[n * K + k] *= scale;
    }
    return V;
  }
};

TEST(Dora, NormIsOfTheAdaptedRows) {
  const DoraExample e;
  e.take_norm();
  const Tensor V = sum(e.W, e.delta()), expected = filled({e.N}, 0);
  for (std::int64_t n = 0; n < e.N; ++n) expected.data<double>()[n] = e.length(V, n);
  EXPECT_TRUE(all_close(e.norm, expected, kRounding));
}

TEST(Dora, NormOfALongRow) {
  DoraExample e;
  e.K = 700;  // more than is in hand at once
  e.W = normal_tensor({e.N, e.K}, 4);
  e.A = normal_tensor({e.R, e.K}, 2);
  e.take_norm();
  const Tensor V = sum(e.W, e.delta());
  for (std::int64_t n = 0; n < e.N; ++n) {
    // 700 squares in another order: 700 · 2^-53 relative, 8e-14
    EXPECT_TRUE(testing::is_close(e.norm.data<double>()[n], e.length(V, n), 0, 1e-13)) << n;
  }
}

TEST(Dora, AFreshAdapterChangesNothing) {
  DoraExample e;
  e.B = filled({e.N, e.R}, 0);
  e.take_norm();
  e.m = e.norm;
  const Tensor base = linear(e.x, e.W), y = base.clone();
  e.forward(Tensor(), y);
  EXPECT_TRUE(same_bytes(y, base));  // 1 · (x·Wᵀ + 0)
}

TEST(Dora, ForwardIsThatOfTheAdaptedWeight) {
  const DoraExample e;
  e.take_norm();
  const Tensor y = linear(e.x, e.W);
  e.forward(Tensor(), y);
  // magnitudes over lengths of up to 2: ten of the sums' roundings
  EXPECT_TRUE(all_close(y, linear(e.x, e.adapted()), 10 * kRounding));
  EXPECT_TRUE(all_close(e.u, linear(e.x, e.A), kRounding));
}

// With dropout y is made of all of x, and only what the adapter sees of it is scaled.
TEST(Dora, OnlyWhatIsSeenIsScaled) {
  const DoraExample e;
  e.take_norm();
  const Tensor y = normal_tensor({e.T, e.N}, 6), seen = linear(e.x, e.W), base = seen.clone();
  const Tensor before = y.clone(), full = linear(e.x, e.adapted()), expected = filled(y.shape(), 0);
  e.forward(base, y);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    expected.data<double>()[i] =
        before.data<double>()[i] + full.data<double>()[i] - seen.data<double>()[i];
  }
  EXPECT_TRUE(all_close(y, expected, 10 * kRounding));
}

TEST(Dora, NeighboringColumnsAreLeftAlone) {
  const DoraExample e;
  e.take_norm();
  const std::int64_t ld = e.N + 3;
  const Tensor base = linear(e.x, e.W), wide = filled({e.T, ld}, 9), y = base.clone();
  for (std::int64_t t = 0; t < e.T; ++t) {
    for (std::int64_t n = 0; n < e.N; ++n) wide.data<double>()[t * ld + n] = at(base, t, n);
  }
  e.forward(Tensor(), y);
  e.forward(Tensor(), wide);
  for (std::int64_t t = 0; t < e.T; ++t) {
    for (std::int64_t n = 0; n < ld; ++n) {
      EXPECT_TRUE(testing::is_close(at(wide, t, n), n < e.N ? at(y, t, n) : 9.0, kRounding));
    }
  }
}

TEST(Dora, GradientOfTheMagnitudes) {
  const DoraExample e;
  e.take_norm();
  const Tensor w = normal_tensor({e.T, e.N}, 7), y = filled({e.T, e.N}, 0);
  const auto f = [&] {
    const Tensor base = linear(e.x, e.W);
    std::copy_n(base.data<double>(), base.numel(), y.data<double>());
    e.forward(Tensor(), y);
    return weighted_sum(y, w);
  };
  f();
  const Tensor dm = filled({e.N}, 0), g = filled(w.shape(), kNaN);
  e.backward(linear(e.x, e.W), w, dm, g);
  EXPECT_TRUE(matches_finite_differences(f, e.m, dm));
}

TEST(Dora, NormIsAConstantInTheBackwardPass) {
  const DoraExample e;
  e.take_norm();
  const Tensor w = normal_tensor({e.T, e.N}, 7), y = filled({e.T, e.N}, 0);
  const auto f = [&] {  // the norm is not taken again, whatever A and B are
    const Tensor base = linear(e.x, e.W);
    std::copy_n(base.data<double>(), base.numel(), y.data<double>());
    e.forward(Tensor(), y);
    return weighted_sum(y, w);
  };
  f();
  const Tensor dm = filled({e.N}, 0), g = filled(w.shape(), kNaN);
  e.backward(linear(e.x, e.W), w, dm, g);
  const Tensor dA = filled({e.R, e.K}, 0), dB = filled({e.N, e.R}, 0);
  e.Example::backward(g, dA, dB, Tensor());
  EXPECT_TRUE(matches_finite_differences(f, e.A, dA));
  EXPECT_TRUE(matches_finite_differences(f, e.B, dB));
}

TEST(Dora, GradientsOfMagnitudesAreAddedUp) {
  const DoraExample e;
  e.take_norm();
  const Tensor dy = normal_tensor({e.T, e.N}, 7), g = filled(dy.shape(), kNaN);
  e.forward(Tensor(), linear(e.x, e.W));
  const Tensor once = filled({e.N}, 0), twice = filled({e.N}, 0);
  e.backward(linear(e.x, e.W), dy, once, g);
  e.backward(linear(e.x, e.W), dy, twice, g);
  e.backward(linear(e.x, e.W), dy, twice, g);
  for (std::int64_t n = 0; n < e.N; ++n) {
    EXPECT_TRUE(testing::is_close(twice.data<double>()[n], 2 * once.data<double>()[n], kRounding));
  }
}

TEST(Dora, MergedWeightHasItsMagnitudesAsLengths) {
  const DoraExample e;
  e.take_norm();
  const Tensor merged = e.W.clone();
  dora_merge(e.weights(), e.m.data<double>(), e.norm.data<double>(), merged.data<double>());
  EXPECT_TRUE(all_close(merged, e.adapted(), kRounding));
  for (std::int64_t n = 0; n < e.N; ++n) {
    EXPECT_TRUE(testing::is_close(e.length(merged, n), std::abs(e.m.data<double>()[n]), kRounding));
  }
}

TEST(Dora, UnmergingGivesTheWeightBack) {
  const DoraExample e;
  e.take_norm();
  const Tensor W = e.W.clone();
  dora_merge(e.weights(), e.m.data<double>(), e.norm.data<double>(), W.data<double>());
  dora_unmerge(e.weights(), e.m.data<double>(), e.norm.data<double>(), W.data<double>());
  // dividing by a small magnitude enlarges the roundings: the smallest here is above 0.01
  EXPECT_TRUE(all_close(W, e.W, 100 * kRounding));
  e.m.data<double>()[2] = 0;
  EXPECT_THROW(
      dora_unmerge(e.weights(), e.m.data<double>(), e.norm.data<double>(), W.data<double>()),
      std::invalid_argument);
}

TEST(Dora, ARowOfZerosCountsAsOne) {
  DoraExample e;
  e.W = filled({e.N, e.K}, 0);
  e.B = filled({e.N, e.R}, 0);
  e.take_norm();
  for (std::int64_t n = 0; n < e.N; ++n) EXPECT_EQ(e.norm.data<double>()[n], 1.0);
}

}  // namespace
}  // namespace qlora
