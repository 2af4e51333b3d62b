#include "measurements.h"

#include <cmath>

#include "checkpoint/safetensors.h"
#include "core/random.h"
#include "lora/combine.h"
#include "quantization/quantized_tensor.h"

namespace qlora::chapter13 {
namespace {

constexpr std::int64_t kRank = 4, kSide = 64;

std::vector<float> normal(std::int64_t n, std::uint64_t stream) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = Random{13, stream}.normal(i);
  return x;
}

double length(const Tensor& x) {
  double squares = 0;
  for (const float v : x.span<float>()) squares += static_cast<double>(v) * v;
  return std::sqrt(squares);
}

Tensor difference(const Tensor& a, const Tensor& b) {
  Tensor out = a.clone();
  for (std::int64_t i = 0; i < out.numel(); ++i) out.data<float>()[i] -= b.data<float>()[i];
  return out;
}

Tensor product(const LoraFactors& f) {
  const Tensor W = Tensor::zeros(DType::f32, {kSide, kSide});
  lora_merge<float>({kSide, kSide, f.R, f.A.data(), f.B.data(), 1.0f}, 1.0f, W.data<float>());
  return W;
}

}  // namespace

std::vector<Survival> survivals(const std::string& model) {
  const Tensor stored = SafetensorsFile::open(model + "/model.safetensors")
                            .tensor("model.layers.1.self_attn.q_proj.weight");
  // The base in use is what NF4 holds of it.
  const std::int64_t N = stored.dim(0), K = stored.dim(1);
  const Tensor W = Tensor::empty(DType::f32, {N, K});
  dequantize_4bit(quantize_4bit(stored.to(DType::f32), QuantType::nf4, 64, true), W.data<float>());
  const std::vector<float> A = normal(kRank * K, 1), B = normal(N * kRank, 2);
  const LoraWeights<float> unit{K, N, kRank, A.data(), B.data(), 1.0f};
  const Tensor delta = Tensor::zeros(DType::f32, {N, K});
  lora_merge(unit, 1.0f, delta.data<float>());
  std::vector<Survival> rows;
  for (const double size : {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0}) {
    LoraWeights<float> lora = unit;
    lora.scaling = static_cast<float>(size * length(W) / length(delta));
    const Tensor merged = W.clone();
    lora_merge(lora, 1.0f, merged.data<float>());
    const auto lost = [&](const Tensor& kept) {
      return length(difference(kept, merged)) / (size * length(W));
    };
    const Tensor nf4 = Tensor::empty(DType::f32, {N, K});
    dequantize_4bit(quantize_4bit(merged, QuantType::nf4, 64, true), nf4.data<float>());
    const Tensor back = merged.clone();  // unmerged, and what is off of W
    lora_merge(lora, -1.0f, back.data<float>());
    rows.push_back({size, length(difference(back, W)) / (size * length(W)),
                    lost(merged.to(DType::bf16).to(DType::f32)), lost(nf4)});
  }
  return rows;
}

std::vector<Mix> mixes() {
  const std::vector<float> A1 = normal(kRank * kSide, 3), B1 = normal(kSide * kRank, 4),
                           A2 = normal(kRank * kSide, 5), B2 = normal(kSide * kRank, 6);
  const std::vector<WeightedLora> two{{{kSide, kSide, kRank, A1.data(), B1.data(), 1.0f}, 1.0},
                                      {{kSide, kSide, kRank, A2.data(), B2.data(), 1.0f}, 1.0}};
  const Tensor sum = Tensor::zeros(DType::f32, {kSide, kSide});
  for (const WeightedLora& w : two) lora_merge(w.lora, 1.0f, sum.data<float>());
  std::vector<Mix> rows;
  const auto add = [&](std::string name, const LoraFactors& f) {
    rows.push_back({std::move(name), f.R, length(difference(product(f), sum)) / length(sum)});
  };
  add("linear", combine_linear(two));
  add("cat", combine_cat(two));
  for (std::int64_t R = 1; R <= 2 * kRank; ++R) {
    add("svd, rank " + std::to_string(R), combine_svd(two, R));
  }
  return rows;
}

}  // namespace qlora::chapter13
