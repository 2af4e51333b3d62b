// The loss of a language model: which label a position predicts, which positions count, and the
// cross-entropy of a row with its gradient.
#include "ops/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/finite_difference.h"
#include "support/matcher.h"
#include "text/examples.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;
using testing::normal_tensor;

Tensor ids(const std::vector<std::int32_t>& values, Shape shape) {
  return Tensor::from<std::int32_t>(values, std::move(shape));
}

std::vector<std::int32_t> values_of(const Tensor& t) {
  const auto values = t.span<std::int32_t>();
  return {values.begin(), values.end()};
}

constexpr std::int32_t kNone = kIgnoredLabel;

TEST(Shift, APositionPredictsTheNextLabel) {
  EXPECT_EQ(values_of(shifted_targets(ids({7, 3, 9, 2}, {1, 4}))),
            (std::vector<std::int32_t>{3, 9, 2, kNone}));
}

TEST(Shift, RowsDoNotPredictEachOther) {
  const Tensor targets = shifted_targets(ids({1, 2, 3, 4, 5, 6}, {3, 2}));
  EXPECT_EQ(targets.shape(), (Shape{6}));
  EXPECT_EQ(values_of(targets), (std::vector<std::int32_t>{2, kNone, 4, kNone, 6, kNone}));
  EXPECT_EQ(values_of(shifted_targets(ids({5, 6}, {2, 1}))),
            (std::vector<std::int32_t>{kNone, kNone}));
}

TEST(Shift, TheFirstLabelOfTheCompletionIsPredictedFromThePrompt) {
  // A prompt of three, whose labels are ignored, and a completion of two.
  EXPECT_EQ(values_of(shifted_targets(ids({kNone, kNone, kNone, 8, 4}, {1, 5}))),
            (std::vector<std::int32_t>{kNone, kNone, 8, 4, kNone}));
}

TEST(Supervised, IgnoredLabelsAreLeftOut) {
  const ops::Supervised s = ops::supervised(ids({kNone, 4, kNone, 0, 6, kNone}, {6}), 7);
  EXPECT_EQ(values_of(s.rows), (std::vector<std::int32_t>{1, 3, 4}));
  EXPECT_EQ(values_of(s.targets), (std::vector<std::int32_t>{4, 0, 6}));
}

TEST(Supervised, MayBeNone) {
  EXPECT_EQ(ops::supervised(ids({kNone, kNone}, {2}), 7).rows.numel(), 0);
}

TEST(Supervised, RefusesWhatIsNoToken) {
  ops::supervised(ids({6, 0}, {2}), 7);
  for (const std::int32_t target : {7, -1, -99, -101}) {
    EXPECT_THROW(ops::supervised(ids({target}, {1}), 7), std::invalid_argument) << target;
  }
}

template <typename T>
std::vector<T> losses(std::vector<T> logits, std::int64_t V, const std::vector<std::int32_t>& to) {
  std::vector<T> loss(to.size(), std::numeric_limits<T>::quiet_NaN());
  cpu::cross_entropy<T>(static_cast<std::int64_t>(to.size()), V, logits.data(), to.data(), T{0},
                        loss.data());
  return loss;
}

// The logarithm of 8 over 2: a few roundings in double.
TEST(CrossEntropy, ByHand) {
  const std::vector<double> logits{0.0, std::log(2.0), std::log(5.0)};
  EXPECT_TRUE(is_close(losses<double>(logits, 3, {1})[0], std::log(4.0), 1e-15));
  EXPECT_TRUE(is_close(losses<double>(logits, 3, {2})[0], std::log(1.6), 1e-15));
}

TEST(CrossEntropy, EqualLogitsGiveTheLogarithmOfTheVocabulary) {
  EXPECT_TRUE(
      is_close(losses<float>(std::vector<float>(384, 1.5f), 384, {17})[0], std::log(384.0), 1e-5));
}

// exp(1e4) is beyond float and double; the loss is a difference of logits then.
TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits{1e4f, 1e4f - 3.0f, -1e4f};
  EXPECT_TRUE(is_close(losses<float>(logits, 3, {1})[0], 3.0 + std::log1p(std::exp(-3.0)), 1e-3));
  EXPECT_TRUE(is_close(losses<float>(logits, 3, {2})[0], 2e4 + std::log1p(std::exp(-3.0)), 4e-3));
  EXPECT_TRUE(is_close(losses<double>({-1e4, -1e4}, 2, {0})[0], std::log(2.0), 1e-12));
}

struct Rows {
  std::int64_t rows = 5, V = 7;
  std::vector<std::int32_t> targets{3, 0, 6, 3, 2};
  Tensor logits = normal_tensor({rows, V}, 1, 2.0);

  // Overwrites a copy of the logits, and returns it.
  Tensor gradient(double scale, std::vector<double>& loss) const {
    const Tensor out = logits.clone();
    loss.assign(static_cast<std::size_t>(rows), std::numeric_limits<double>::quiet_NaN());
    cpu::cross_entropy<double>(rows, V, out.data<double>(), targets.data(), scale, loss.data());
    return out;
  }
};

TEST(CrossEntropy, GradientsMatchFiniteDifferences) {
  const Rows r;
  std::vector<double> loss;
  const Tensor gradient = r.gradient(1.0, loss);
  const auto sum = [&] {
    double all = 0;
    for (const double x :
         losses<double>({r.logits.data<double>(), r.logits.data<double>() + r.logits.numel()}, r.V,
                        r.targets)) {
      all += x;
    }
    return all;
  };
  EXPECT_TRUE(testing::matches_finite_differences(sum, r.logits, gradient));
}

TEST(CrossEntropy, TheGradientOfARowSumsToZero) {
  const Rows r;
  std::vector<double> loss;
  const Tensor gradient = r.gradient(0.25, loss);
  for (std::int64_t i = 0; i < r.rows; ++i) {
    double sum = 0;
    for (std::int64_t v = 0; v < r.V; ++v) sum += gradient.data<double>()[i * r.V + v];
    EXPECT_TRUE(is_close(sum, 0.0, 1e-15)) << i;
    EXPECT_LT(gradient.data<double>()[i * r.V + r.targets[i]], 0.0) << "more of the target";
  }
}

TEST(CrossEntropy, TheScaleIsOfTheGradientAlone) {
  const Rows r;
  std::vector<double> loss, scaled_loss;
  const Tensor gradient = r.gradient(1.0, loss), scaled = r.gradient(1.0 / 32, scaled_loss);
  for (double& x : gradient.span<double>()) x /= 32;
  EXPECT_TRUE(all_close(scaled, gradient, 1e-17, 1e-14));
  EXPECT_EQ(scaled_loss, loss);
}

TEST(CrossEntropy, RowsAreIndependent) {
  const Rows r;
  std::vector<double> loss;
  const Tensor gradient = r.gradient(1.0, loss);
  for (std::int64_t i = 0; i < r.rows; ++i) {
    Rows one;
    one.rows = 1;
    one.targets = {r.targets[i]};
    one.logits = r.logits.rows(i, i + 1);
    std::vector<double> its_loss;
    EXPECT_TRUE(testing::same_bytes(one.gradient(1.0, its_loss), gradient.rows(i, i + 1)));
    EXPECT_EQ(its_loss[0], loss[i]);
  }
}

}  // namespace
}  // namespace qlora
