#include "measurements.h"

#include <cmath>

#include "checkpoint/safetensors.h"
#include "core/matmul.h"
#include "core/random.h"
#include "lora/counting.h"
#include "lora/lora.h"
#include "lora/svd.h"

namespace qlora::chapter05 {
namespace {

constexpr std::int64_t kSide = 192;
constexpr std::int64_t kPlantedRank = 8;
constexpr double kNoise = 0.1;

std::vector<double> normal(std::int64_t n, std::uint64_t stream) {
  std::vector<double> x(n);
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<double>(Random{5, stream}.normal(static_cast<std::uint64_t>(i)));
  }
  return x;
}

// An element of B·A has variance kPlantedRank; that of the noise is kNoise² of it.
std::vector<double> low_rank_and_noise() {
  const std::vector<double> B = normal(kSide * kPlantedRank, 11),
                            A = normal(kPlantedRank * kSide, 12);
  std::vector<double> W = normal(kSide * kSide, 13);
  matmul<double>(Transpose::no, Transpose::no, kSide, kSide, kPlantedRank, 1.0, B.data(),
                 kPlantedRank, A.data(), kSide, kNoise * std::sqrt(kPlantedRank), W.data(), kSide);
  return W;
}

std::vector<double> real_weight(const std::string& model_folder) {
  const auto file = SafetensorsFile::open(model_folder + "/model.safetensors");
  const Tensor W = file.tensor("model.layers.1.self_attn.q_proj.weight").to(DType::f64);
  return {W.data<double>(), W.data<double>() + W.numel()};
}

}  // namespace

double Spectrum::relative_error(std::int64_t R) const {
  return truncation_error(s, R) / truncation_error(s, 0);
}

std::vector<Spectrum> spectra(const std::string& model_folder) {
  return {{"random", svd(kSide, kSide, normal(kSide * kSide, 10)).s},
          {"rank 8 and noise", svd(kSide, kSide, low_rank_and_noise()).s},
          {"q_proj, layer 1", svd(kSide, kSide, real_weight(model_folder)).s}};
}

std::vector<RankRun> rank_sweep(const Regression& regression) {
  const std::vector<double> s = wanted_change(regression);
  const double start = truncation_error(s, 0);
  std::vector<RankRun> runs;
  for (std::int64_t R : {1, 2, 4, 8, 16, 32, 64}) {
    const double best = truncation_error(s, R) / start;
    runs.push_back(
        {R, lora_parameters(LinearShape{"q_proj", regression.K, regression.N}, R), best * best,
         train_adapter(regression, {.R = R, .lora_alpha = 2.0 * static_cast<double>(R)})});
  }
  return runs;
}

std::vector<AlphaRun> alpha_sweep(const Regression& regression) {
  std::vector<AlphaRun> runs;
  for (double alpha : {2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0}) {
    const Outcome outcome = train_adapter(regression, {.R = kAlphaSweepRank, .lora_alpha = alpha});
    runs.push_back({alpha, lora_scaling(alpha, kAlphaSweepRank, false), outcome.loss});
  }
  return runs;
}

}  // namespace qlora::chapter05
