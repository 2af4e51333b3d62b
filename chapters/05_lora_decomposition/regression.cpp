#include "regression.h"

#include <algorithm>
#include <cmath>

#include "checkpoint/safetensors.h"
#include "core/matmul.h"
#include "core/random.h"
#include "lora/lora.h"
#include "lora/svd.h"

namespace qlora::chapter05 {
namespace {

constexpr std::int64_t kTokens = 512, kHeldOut = 256;
constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;
constexpr float kMomentum = 0.9f;

std::vector<float> floats(const Tensor& t) {
  const Tensor f = t.to(DType::f32);
  return {f.data<float>(), f.data<float>() + f.numel()};
}

// y (T,N) = x (T,K) · Wᵀ
std::vector<float> linear(std::int64_t T, std::int64_t N, std::int64_t K, const float* x,
                          const std::vector<float>& W) {
  std::vector<float> y(T * N);
  matmul<float>(kNo, kYes, T, N, K, 1.0f, x, K, W.data(), K, 0.0f, y.data(), N);
  return y;
}

// x over the root of its mean square.
void normalize(std::int64_t K, float* x) {
  double square = 0.0;
  for (std::int64_t k = 0; k < K; ++k) square += static_cast<double>(x[k]) * x[k];
  const auto scale = static_cast<float>(1.0 / std::sqrt(square / static_cast<double>(K)));
  for (std::int64_t k = 0; k < K; ++k) x[k] *= scale;
}

double norm(const std::vector<float>& x) {
  double square = 0.0;
  for (float value : x) square += static_cast<double>(value) * value;
  return std::sqrt(square);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return largest;
}

// Σ (y − y*)²
double squared_error(std::size_t n, const float* y, const float* target) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double e = static_cast<double>(y[i]) - target[i];
    sum += e * e;
  }
  return sum;
}

// velocity = momentum · velocity + gradient; parameter −= rate · velocity; gradient = 0.
void descend(float rate, std::vector<float>& parameter, std::vector<float>& gradient,
             std::vector<float>& velocity) {
  for (std::size_t i = 0; i < parameter.size(); ++i) {
    velocity[i] = kMomentum * velocity[i] + gradient[i];
    parameter[i] -= rate * velocity[i];
    gradient[i] = 0.0f;
  }
}

// The adapter and all that its training needs.
struct Trained {
  std::vector<float> A, B, dA, dB, vA, vB;
  Trained(std::int64_t K, std::int64_t N, std::int64_t R)
      : A(R * K), B(N * R), dA(R * K), dB(N * R), vA(R * K), vB(N * R) {
    lora_initialize(K, N, R, {5, 0}, A.data(), B.data());
  }
};

}  // namespace

Regression layer_regression(const std::string& model_folder) {
  const auto file = SafetensorsFile::open(model_folder + "/model.safetensors");
  const Tensor from = file.tensor("model.layers.1.self_attn.q_proj.weight");
  const Tensor to = file.tensor("model.layers.2.self_attn.q_proj.weight");
  const Tensor embedding = file.tensor("model.embed_tokens.weight").to(DType::f32);
  Regression r{kTokens, kHeldOut, from.dim(1), from.dim(0), {}, floats(from), {}};
  const auto tokens = permutation({5, 1}, embedding.dim(0));
  for (std::int64_t t = 0; t < r.T + r.held_out; ++t) {
    const float* row = embedding.data<float>() + tokens[t] * r.K;
    r.x.insert(r.x.end(), row, row + r.K);
    normalize(r.K, &r.x[t * r.K]);
  }
  r.target = linear(r.T + r.held_out, r.N, r.K, r.x.data(), floats(to));
  return r;
}

std::vector<double> wanted_change(const Regression& r) {
  const std::vector<float> y = linear(r.T, r.N, r.K, r.x.data(), r.W);
  std::vector<double> change(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    change[i] = static_cast<double>(r.target[i]) - y[i];
  }
  return svd(r.T, r.N, change).s;
}

Outcome train_adapter(const Regression& r, const Descent& d) {
  const auto& [T, held_out, K, N, x, W, target] = r;
  const std::int64_t all = T + held_out;
  const auto size = static_cast<std::size_t>(T * N),
             held_size = static_cast<std::size_t>(held_out * N);
  const std::vector<float> base = linear(all, N, K, x.data(), W);
  Trained a(K, N, d.R);
  const LoraWeights<float> lora{
      K,          N,          d.R,
      a.A.data(), a.B.data(), static_cast<float>(lora_scaling(d.lora_alpha, d.R, false))};
  const auto start = static_cast<float>(squared_error(size, base.data(), target.data()));
  std::vector<float> u(all * d.R), du(T * d.R), y, dy(T * N);
  Outcome out;
  // [step]
  for (int step = 0; step < d.steps; ++step) {
    y = base;
    lora_forward<float>(lora, T, x.data(), {}, nullptr, u.data(), y.data(), N);
    for (std::size_t i = 0; i < size; ++i) dy[i] = 2.0f * (y[i] - target[i]) / start;
    lora_backward<float>(lora, T, x.data(), u.data(), {}, dy.data(), N, nullptr, du.data(),
                         a.dA.data(), a.dB.data(), nullptr);
    out.norm_dA.push_back(norm(a.dA));
    out.norm_dB.push_back(norm(a.dB));
    descend(static_cast<float>(d.learning_rate), a.A, a.dA, a.vA);
    descend(static_cast<float>(d.learning_rate), a.B, a.dB, a.vB);
  }
  // [/step]
  y = base;
  lora_forward<float>(lora, all, x.data(), {}, nullptr, u.data(), y.data(), N);
  out.loss = squared_error(size, y.data(), target.data()) /
             squared_error(size, base.data(), target.data());
  out.held_out = squared_error(held_size, &y[size], &target[size]) /
                 squared_error(held_size, &base[size], &target[size]);

  // [merge]
  std::vector<float> merged = W;
  lora_merge<float>(lora, 1.0f, merged.data());
  out.merged = largest_difference(linear(all, N, K, x.data(), merged), y) /
               largest_difference(y, std::vector<float>(y.size()));
  lora_merge<float>(lora, -1.0f, merged.data());
  out.restored = largest_difference(merged, W);
  // [/merge]
  return out;
}

}  // namespace qlora::chapter05
