// Dropout of LoRA: on the input of A, the same in both passes, and none in evaluation.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lora_example.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::Example;
using testing::filled;
using testing::is_close;
using testing::kRounding;
using testing::linear;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;
using testing::weighted_sum;

// x as dropout leaves it: element i is kept where random.keeps(i, p), and divided by 1-p.
Tensor dropped(const Tensor& x, const Dropout& dropout) {
  Tensor out = x.clone();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    double& value = out.data<double>()[i];
    const bool kept = dropout.random.keeps(static_cast<std::uint64_t>(i), dropout.p);
    value = kept ? value / (1.0 - static_cast<double>(dropout.p)) : 0.0;
  }
  return out;
}

TEST(Lora, DropoutThinsTheInputOfAOnly) {
  Example e;
  e.dropout = {0.4f, {11, 12}};
  const Tensor y = filled({e.T, e.N}, 0.0);
  e.forward(y);
  const Tensor thinned = dropped(e.x, e.dropout);
  EXPECT_TRUE(all_close(e.u, linear(thinned, e.A), kRounding));
  EXPECT_TRUE(all_close(y, linear(thinned, e.delta()), kRounding));
}

TEST(Lora, DropoutKeepsTheMean) {
  // x = 1 everywhere, A one row of 1/(T·K): the sum of u is the mean of drop(x).
  const std::int64_t T = 53, K = 101;
  const auto n = static_cast<double>(T * K);
  const std::vector<double> x(T * K, 1.0), A(K, 1.0 / n), B{0.0};
  std::vector<double> scratch(T * K), u(T), y(T);
  lora_forward<double>({K, 1, 1, A.data(), B.data(), 1.0}, T, x.data(), {0.25f, {5, 6}},
                       scratch.data(), u.data(), y.data(), 1);
  double mean = 0.0;
  for (double value : u) mean += value;
  // An element is 0 or 1/(1-p), of variance p/(1-p); five standard errors.
  EXPECT_TRUE(is_close(mean, 1.0, 5 * std::sqrt(0.25 / 0.75 / n)));
  EXPECT_NE(mean, 1.0) << "nothing was dropped";
}

TEST(Lora, BackwardSeesTheMaskOfForward) {
  Example e;
  e.dropout = {0.4f, {11, 12}};
  const Tensor w = normal_tensor({e.T, e.N}, 4);
  const auto loss = [&] {
    const Tensor y = filled({e.T, e.N}, 0.0);
    e.forward(y);
    return weighted_sum(y, w);
  };
  loss();
  const Tensor dA = filled({e.R, e.K}, 0.0), dB = filled({e.N, e.R}, 0.0);
  const Tensor dx = normal_tensor({e.T, e.K}, 8), before = dx.clone();
  e.backward(w, dA, dB, dx);
  for (std::int64_t i = 0; i < dx.numel(); ++i) dx.data<double>()[i] -= before.data<double>()[i];
  EXPECT_TRUE(matches_finite_differences(loss, e.A, dA));
  EXPECT_TRUE(matches_finite_differences(loss, e.B, dB));
  EXPECT_TRUE(matches_finite_differences(loss, e.x, dx));
}

TEST(Lora, EvaluationDropsNothing) {
  Example e;
  e.dropout = {0.0f, {11, 12}};
  const Tensor y = filled({e.T, e.N}, 0.0), w = normal_tensor({e.T, e.N}, 4);
  const Tensor scratch = e.scratch.clone();
  e.forward(y);
  EXPECT_TRUE(all_close(y, linear(e.x, e.delta()), kRounding));
  e.backward(w, filled({e.R, e.K}, 0.0), filled({e.N, e.R}, 0.0), Tensor());
  EXPECT_TRUE(same_bytes(e.scratch, scratch)) << "without dropout scratch is not used";
}

}  // namespace
}  // namespace qlora
