#include "lora/counting.h"

#include <array>
#include <cstdio>

#include "core/error.h"
#include "lora/target_modules.h"

namespace qlora {
namespace {

// "18,350,080"
std::string with_commas(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

}  // namespace

std::int64_t dense_parameters(const LinearShape& linear) {
  return linear.N * linear.K;
}

std::int64_t lora_parameters(const LinearShape& linear, std::int64_t R) {
  require(R >= 1, "lora_parameters", "a rank of at least 1");
  return R * (linear.K + linear.N);
}

double break_even_rank(const LinearShape& linear) {
  return static_cast<double>(dense_parameters(linear)) / static_cast<double>(linear.K + linear.N);
}

std::vector<LinearShape> stacked(std::span<const LinearShape> layer, std::int64_t layers) {
  std::vector<LinearShape> all;
  for (std::int64_t l = 0; l < layers; ++l) {
    for (const LinearShape& linear : layer) {
      all.push_back({"model.layers." + std::to_string(l) + "." + linear.name, linear.K, linear.N});
    }
  }
  return all;
}

std::int64_t decoder_parameters(std::span<const LinearShape> layer, std::int64_t layers,
                                std::int64_t C, std::int64_t V, bool tied) {
  std::int64_t one_layer = 2 * C;
  for (const LinearShape& linear : layer) one_layer += dense_parameters(linear);
  return (tied ? 1 : 2) * V * C + layers * one_layer + C;
}

std::vector<AdapterShape> adapter_shapes(const LoraConfig& config,
                                         std::span<const LinearShape> linears) {
  std::vector<AdapterShape> adapters;
  for (const LinearShape& linear : linears) {
    if (!is_target_module(config, linear.name)) continue;
    adapters.push_back({linear, r_of(config, linear.name)});
  }
  if (adapters.empty()) throw UsageError("target_modules names no linear module of the model");
  return adapters;
}

std::int64_t lora_parameters(std::span<const AdapterShape> adapters) {
  std::int64_t sum = 0;
  for (const AdapterShape& a : adapters) sum += lora_parameters(a.linear, a.R);
  return sum;
}

TrainableParameters count_trainable(std::span<const AdapterShape> adapters,
                                    std::int64_t base_parameters) {
  const std::int64_t trainable = lora_parameters(adapters);
  return {trainable, base_parameters + trainable};
}

double trainable_percentage(const TrainableParameters& count) {
  return 100.0 * static_cast<double>(count.trainable) / static_cast<double>(count.all);
}

std::string trainable_line(const TrainableParameters& count) {
  std::array<char, 32> percent{};
  std::snprintf(percent.data(), percent.size(), "%.4f", trainable_percentage(count));
  return "trainable params: " + with_commas(count.trainable) +
         " || all params: " + with_commas(count.all) + " || trainable%: " + percent.data();
}

}  // namespace qlora
