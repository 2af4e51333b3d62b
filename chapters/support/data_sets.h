// The values that the chapters on quantization try their formats on.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/random.h"

namespace qlora {

/// Values under a name.
struct DataSet {
  std::string name;           ///< for tables and legends
  std::vector<float> values;  ///< flat
};

/// n values of N(0, 1).
inline std::vector<float> normal_sample(std::size_t n, const Random& random = {1, 1}) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = random.normal(i);
  return x;
}

/// n values of Student's t with three degrees of freedom, whose tails are heavy:
/// a / sqrt((b² + c² + d²) / 3), all four normal.
inline std::vector<float> heavy_tailed_sample(std::size_t n) {
  const Random random{1, 2};
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0.0;
    for (std::size_t k = 1; k < 4; ++k) sum += std::pow(double{random.normal(4 * i + k)}, 2);
    x[i] = static_cast<float>(double{random.normal(4 * i)} / std::sqrt(sum / 3.0));
  }
  return x;
}

/// A weight of the embedded model in float32.
inline std::vector<float> embedded_weight(const std::string& data_folder,
                                          const std::string& tensor) {
  const auto file = SafetensorsFile::open(data_folder + "/tiny-llama/model.safetensors");
  const Tensor wide = file.tensor(tensor).to(DType::f32);
  const auto values = wide.span<float>();
  return {values.begin(), values.end()};
}

/// Normal values, heavy-tailed ones, and the weights of a layer of the embedded model that has
/// outliers: its largest weight is nine standard deviations from zero.
inline std::vector<DataSet> data_sets(const std::string& data_folder) {
  return {{"normal", normal_sample(65536)},
          {"heavy-tailed", heavy_tailed_sample(65536)},
          {"model weights", embedded_weight(data_folder, "model.layers.5.mlp.down_proj.weight")}};
}

/// Σ x².
inline double energy_of(std::span<const float> x) {
  double sum = 0.0;
  for (const float value : x) sum += double{value} * double{value};
  return sum;
}

/// sqrt(Σ (x - x')² / Σ x²).
inline double relative_error(std::span<const float> x, std::span<const float> restored) {
  double error = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - double{restored[i]}, 2);
  }
  return std::sqrt(error / energy_of(x));
}

}  // namespace qlora
