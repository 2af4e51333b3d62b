// VeRA against dense products by their definition, and finite differences.
#include "vera.h"

#include <gtest/gtest.h>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::weighted_sum;

// Sums of at most 21 products of four numbers of order one, in double: eps · 21 · 100 = 5e-13.
constexpr double kRounding = 1e-12;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

struct Example {
  std::int64_t T = 4, K = 7, N = 5, R = 3;
  Tensor A = normal_tensor({R, K}, 1), B = normal_tensor({N, R}, 2), d = normal_tensor({R}, 3),
         b = normal_tensor({N}, 4), x = normal_tensor({T, K}, 5), w = normal_tensor({T, N}, 6);

  Vera vera() const {
    return {K, N, R, A.data<double>(), B.data<double>(), d.data<double>(), b.data<double>()};
  }
  Tensor forward() const {
    const Tensor y = zeros({T, N});
    vera_forward(vera(), T, x.data<double>(), y.data<double>());
    return y;
  }
  // Λ_b B Λ_d A (N,K)
  Tensor dense() const {
    const Tensor W = zeros({N, K});
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t r = 0; r < R; ++r) {
        for (std::int64_t k = 0; k < K; ++k) {
          W.data<double>()[n * K + k] += b.data<double>()[n] * B.data<double>()[n * R + r] *
                                         d.data<double>()[r] * A.data<double>()[r * K + k];
        }
      }
    }
    return W;
  }
  Tensor dense_output() const {
    const Tensor y = zeros({T, N}), W = dense();
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t n = 0; n < N; ++n) {
        for (std::int64_t k = 0; k < K; ++k) {
          y.data<double>()[t * N + n] += x.data<double>()[t * K + k] * W.data<double>()[n * K + k];
        }
      }
    }
    return y;
  }
};

TEST(Vera, ByHand) {
  // A = [1 2], B = [3 5]ᵀ, d = [10], b = [1 -1]: x = [1 1] gives 3 · 10 and 5 · 3 · 10 with a sign.
  const double A[] = {1, 2}, B[] = {3, 5}, d[] = {10}, b[] = {1, -1}, x[] = {1, 1};
  double y[] = {0.5, 0.5};
  vera_forward({2, 2, 1, A, B, d, b}, 1, x, y);
  EXPECT_EQ(y[0], 90.5);
  EXPECT_EQ(y[1], -149.5);
}

TEST(Vera, ForwardIsThatOfTheDenseChange) {
  const Example e;
  EXPECT_TRUE(all_close(e.forward(), e.dense_output(), kRounding));
}

TEST(Vera, ForwardAddsToTheBase) {
  const Example e;
  const Tensor y = e.forward();
  vera_forward(e.vera(), e.T, e.x.data<double>(), y.data<double>());
  const Tensor once = e.dense_output();
  for (double& value : once.span<double>()) value *= 2;
  EXPECT_TRUE(all_close(y, once, kRounding));
}

TEST(Vera, GradientsMatchFiniteDifferences) {
  const Example e;
  const auto loss = [&] { return weighted_sum(e.forward(), e.w); };
  const Tensor dd = zeros({e.R}), db = zeros({e.N}), dx = zeros({e.T, e.K});
  vera_backward(e.vera(), e.T, e.x.data<double>(), e.w.data<double>(), dd.data<double>(),
                db.data<double>(), dx.data<double>());
  EXPECT_TRUE(matches_finite_differences(loss, e.d, dd));
  EXPECT_TRUE(matches_finite_differences(loss, e.b, db));
  EXPECT_TRUE(matches_finite_differences(loss, e.x, dx));
}

TEST(Vera, GradientsAreAddedToWhatIsThere) {
  const Example e;
  const Tensor dd = zeros({e.R}), db = zeros({e.N}), dx = zeros({e.T, e.K});
  const auto backward = [&] {
    vera_backward(e.vera(), e.T, e.x.data<double>(), e.w.data<double>(), dd.data<double>(),
                  db.data<double>(), dx.data<double>());
  };
  backward();
  const Tensor once_d = dd.clone(), once_b = db.clone(), once_x = dx.clone();
  backward();
  for (const Tensor* once : {&once_d, &once_b, &once_x}) {
    for (double& value : once->span<double>()) value *= 2;
  }
  EXPECT_TRUE(all_close(dd, once_d, kRounding));
  EXPECT_TRUE(all_close(db, once_b, kRounding));
  EXPECT_TRUE(all_close(dx, once_x, kRounding));
}

TEST(Vera, InputGradientIsOptional) {
  const Example e;
  const Tensor dd = zeros({e.R}), db = zeros({e.N});
  vera_backward(e.vera(), e.T, e.x.data<double>(), e.w.data<double>(), dd.data<double>(),
                db.data<double>(), nullptr);
  EXPECT_NE(dd.data<double>()[0], 0.0);
}

TEST(Vera, WithBZeroOnlyBMoves) {
  const Example e;
  e.b.zero();
  const Tensor dd = zeros({e.R}), db = zeros({e.N});
  vera_backward(e.vera(), e.T, e.x.data<double>(), e.w.data<double>(), dd.data<double>(),
                db.data<double>(), nullptr);
  for (const double g : dd.span<double>()) EXPECT_EQ(g, 0.0);
  for (const double g : db.span<double>()) EXPECT_NE(g, 0.0);
}

TEST(Vera, MergedAndTakenOffAgain) {
  const Example e;
  const Tensor W = zeros({e.N, e.K});
  vera_merge(e.vera(), 1.0, W.data<double>());
  EXPECT_TRUE(all_close(W, e.dense(), kRounding));
  vera_merge(e.vera(), -1.0, W.data<double>());
  EXPECT_TRUE(all_close(W, zeros({e.N, e.K}), kRounding));
}

}  // namespace
}  // namespace qlora
