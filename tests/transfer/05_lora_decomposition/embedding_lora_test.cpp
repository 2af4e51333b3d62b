// LoRA on an embedding, against one-hot products and finite differences.
#include "embedding_lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "one_hot.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using one_hot::Matrix;
using testing::all_close;
using testing::is_close;
using testing::matches_finite_differences;
using testing::normal_tensor;

// Sums of at most nine products of numbers of order one, in double: eps · 9 · 9 · 4 = 7e-14.
constexpr double kRounding = 1e-13;

Tensor filled(Shape shape, double value) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = value;
  return t;
}

// Nine tokens of width four at rank two. Token 5 stands three times, the first and the last token
// once; 1, 3, 4, 6 and 7 are not looked up.
struct Example {
  std::int64_t V = 9, C = 4, R = 2;
  double s = 0.5;
  std::vector<std::int32_t> ids{5, 0, 5, 8, 2, 5};
  Tensor A = normal_tensor({R, V}, 1), B = normal_tensor({C, R}, 2);

  std::int64_t T() const { return static_cast<std::int64_t>(ids.size()); }
  EmbeddingLora lora() const { return {V, C, R, A.data<double>(), B.data<double>(), s}; }
  Tensor forward(double base = 0.0) const {
    const Tensor y = filled({T(), C}, base);
    embedding_lora_forward(lora(), ids, y.data<double>());
    return y;
  }
  // s · (B · A)ᵀ, the whole change of the table.
  Matrix change() const {
    Matrix m = (Matrix(C, R, B.data<double>()) * Matrix(R, V, A.data<double>())).transposed();
    for (double& value : m.values) value *= s;
    return m;
  }
};

TEST(EmbeddingLora, ByHand) {
  // A = [1 0 3], B = [2 5]ᵀ, s = 10: token 2 adds 10·3·[2 5], token 0 adds 10·1·[2 5].
  const std::vector<double> A{1, 0, 3}, B{2, 5};
  const std::vector<std::int32_t> ids{2, 1, 0};
  std::vector<double> y{0.5, 0, 0, 0.25, 0, 0};
  embedding_lora_forward({3, 2, 1, A.data(), B.data(), 10.0}, ids, y.data());
  EXPECT_EQ(y, (std::vector<double>{60.5, 150, 0, 0.25, 20, 50}));
}

TEST(EmbeddingLora, AddsRowsOfTheChangedTable) {
  const Example e;
  const Tensor y = e.forward(1.5);
  Matrix expected = one_hot::one_hot(e.ids, e.V) * e.change();
  for (double& value : expected.values) value += 1.5;
  EXPECT_TRUE(all_close(y.span<double>(), expected.values, kRounding));
}

TEST(EmbeddingLora, NoTokensAddNothing) {
  const Example e;
  double y = 7.0;
  embedding_lora_forward(e.lora(), {}, &y);
  EXPECT_EQ(y, 7.0);
}

TEST(EmbeddingLora, GradientsMatchFiniteDifferences) {
  const Example e;
  const Tensor w = normal_tensor({e.T(), e.C}, 4);  // L = Σ w·y
  const auto loss = [&] { return testing::weighted_sum(e.forward(), w); };
  const Tensor dA = filled({e.R, e.V}, 0.0), dB = filled({e.C, e.R}, 0.0);
  embedding_lora_backward(e.lora(), e.ids, w.data<double>(), dA.data<double>(), dB.data<double>());
  EXPECT_TRUE(matches_finite_differences(loss, e.A, dA));
  EXPECT_TRUE(matches_finite_differences(loss, e.B, dB));
}

TEST(EmbeddingLora, ATokenThatStandsTwiceCountsTwice) {
  Example once, twice;
  once.ids = {5};
  twice.ids = {5, 5};
  const std::vector<double> dy{1, -2, 3, 0.5, 1, -2, 3, 0.5};
  const Tensor dA1 = filled({2, 9}, 0.0), dA2 = dA1.clone();
  const Tensor dB1 = filled({4, 2}, 0.0), dB2 = dB1.clone();
  embedding_lora_backward(once.lora(), once.ids, dy.data(), dA1.data<double>(), dB1.data<double>());
  embedding_lora_backward(twice.lora(), twice.ids, dy.data(), dA2.data<double>(),
                          dB2.data<double>());
  for (std::int64_t i = 0; i < dA1.numel(); ++i) dA1.data<double>()[i] *= 2;
  for (std::int64_t i = 0; i < dB1.numel(); ++i) dB1.data<double>()[i] *= 2;
  EXPECT_TRUE(all_close(dA2, dA1, kRounding));
  EXPECT_TRUE(all_close(dB2, dB1, kRounding));
}

TEST(EmbeddingLora, OtherTokensGetNoGradient) {
  const Example e;
  const Tensor w = normal_tensor({e.T(), e.C}, 4);
  const Tensor dA = filled({e.R, e.V}, 3.0), dB = filled({e.C, e.R}, 0.0);
  embedding_lora_backward(e.lora(), e.ids, w.data<double>(), dA.data<double>(), dB.data<double>());
  for (std::int64_t r = 0; r < e.R; ++r) {
    for (std::int64_t v : {1, 3, 4, 6, 7}) EXPECT_EQ(dA.data<double>()[r * e.V + v], 3.0) << v;
    for (std::int64_t v : {0, 2, 5, 8}) EXPECT_NE(dA.data<double>()[r * e.V + v], 3.0) << v;
  }
}

TEST(EmbeddingLora, GradientsAreAddedToWhatIsThere) {
  const Example e;
  const Tensor w = normal_tensor({e.T(), e.C}, 4);
  const Tensor dA = filled({e.R, e.V}, 0.0), dB = filled({e.C, e.R}, 0.0);
  const Tensor more_A = filled({e.R, e.V}, 2.0), more_B = filled({e.C, e.R}, 2.0);
  embedding_lora_backward(e.lora(), e.ids, w.data<double>(), dA.data<double>(), dB.data<double>());
  embedding_lora_backward(e.lora(), e.ids, w.data<double>(), more_A.data<double>(),
                          more_B.data<double>());
  for (double& value : dA.span<double>()) value += 2.0;
  for (double& value : dB.span<double>()) value += 2.0;
  EXPECT_TRUE(all_close(more_A, dA, kRounding));
  EXPECT_TRUE(all_close(more_B, dB, kRounding));
}

TEST(EmbeddingLora, MergedTableGivesTheSameRows) {
  const Example e;
  const Tensor E = normal_tensor({e.V, e.C}, 5);
  embedding_lora_merge(e.lora(), 1.0, E.data<double>());
  const Matrix merged(e.V, e.C, E.data<double>());
  const Tensor before = normal_tensor({e.V, e.C}, 5);
  const Matrix looked_up = one_hot::one_hot(e.ids, e.V) * Matrix(e.V, e.C, before.data<double>());
  Tensor y = e.forward();
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] += looked_up.values[i];
  EXPECT_TRUE(
      all_close((one_hot::one_hot(e.ids, e.V) * merged).values, y.span<double>(), kRounding));
  embedding_lora_merge(e.lora(), -1.0, E.data<double>());
  EXPECT_TRUE(all_close(E, before, kRounding)) << "and unmerging takes it off again";
}

TEST(EmbeddingLora, StartsWithAZeroAndBNormal) {
  const std::int64_t V = 7, C = 300, R = 40;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> A(R * V, nan), B(C * R, nan);
  embedding_lora_initialize(V, C, R, {1, 2}, A.data(), B.data());
  for (double a : A) EXPECT_EQ(a, 0.0);
  const Random random{1, 2};
  for (std::size_t i = 0; i < B.size(); ++i) {
    EXPECT_EQ(B[i], static_cast<double>(random.normal(i))) << i;
  }
  std::vector<double> y(C, 0.25);
  const std::vector<std::int32_t> ids{3};
  embedding_lora_forward({V, C, R, A.data(), B.data(), 2.0}, ids, y.data());
  EXPECT_EQ(y, std::vector<double>(C, 0.25)) << "a fresh adapter changes nothing";
}

TEST(EmbeddingLora, FirstStepMovesOnlyA) {
  Example e;
  e.A.zero();
  const Tensor w = normal_tensor({e.T(), e.C}, 4);
  const Tensor dA = filled({e.R, e.V}, 0.0), dB = filled({e.C, e.R}, 0.0);
  embedding_lora_backward(e.lora(), e.ids, w.data<double>(), dA.data<double>(), dB.data<double>());
  for (double g : dB.span<double>()) EXPECT_EQ(g, 0.0);
  EXPECT_NE(dA.data<double>()[5], 0.0);
}

TEST(EmbeddingLora, LooksUpAndDoesNotMultiplyOut) {
  // The change of this table would be 2 million rows of 64; four of them are wanted.
  const std::int64_t V = 2'000'000, C = 64, R = 1;
  std::vector<double> A(V, 0.0), B(C, 2.0), y(4 * C, 0.0);
  A[V - 1] = 1.5;
  const std::vector<std::int32_t> ids{0, static_cast<std::int32_t>(V - 1), 1, 2};
  embedding_lora_forward({V, C, R, A.data(), B.data(), 1.0}, ids, y.data());
  for (std::int64_t c = 0; c < C; ++c) {
    EXPECT_EQ(y[c], 0.0);
    EXPECT_EQ(y[C + c], 3.0);
  }
}

}  // namespace
}  // namespace qlora
