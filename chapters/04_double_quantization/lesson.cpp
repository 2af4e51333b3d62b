#include "lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "claims.h"
#include "course/table.h"
#include "levels.h"
#include "quantization/double_quantization.h"
#include "quantization/dynamic_map.h"
#include "support/weights.h"

namespace qlora::chapter04 {
namespace {

constexpr std::int64_t kBlocksize = 64;
constexpr std::size_t kSample = 1u << 18;
constexpr std::uint64_t kSeed = 4;
constexpr double kMegabyte = 1e6;
constexpr std::int64_t kDescriptions = 300;

Json print_bits() {
  Table table({"blocks of", "absmax in float32", "double quantization", "saved"}, "rrrr");
  Json j = Json::object();
  for (const std::int64_t blocksize : {32, 64, 128, 256}) {
    const double plain = nominal_bits_per_weight({blocksize, false});
    const double nested = nominal_bits_per_weight({blocksize, true});
    table.add({std::to_string(blocksize), fmt::format("{:.4f}", plain),
               fmt::format("{:.4f}", nested), fmt::format("{:.4f}", plain - nested)});
    Json row = Json::object();
    row["float32"] = plain;
    row["double_quantization"] = nested;
    j[std::to_string(blocksize)] = std::move(row);
  }
  fmt::print("Bits a weight, in nested blocks of 256.\n{}\n", table.text());
  return j;
}

Json print_models() {
  Table table({"MB", "blocks", "codes", "absmax", "double-quantized", "saved", "of the model"},
              "lrrrrrr");
  const std::vector<std::pair<std::string, DecoderSizes>> models{
      {"Llama 3.2 1B", kLlama32_1b}, {"Llama 3.2 3B", kLlama32_3b}, {"Llama 3.1 8B", kLlama31_8b}};
  const auto megabytes = [](std::int64_t bytes) {
    return fmt::format("{:.2f}", static_cast<double>(bytes) / kMegabyte);
  };
  Json j = Json::object();
  for (const auto& [name, sizes] : models) {
    const Resident r = resident(sizes, {kBlocksize, true});
    table.add({name, grouped(r.nested.blocks), megabytes(r.plain.packed),
               megabytes(r.plain.constants()), megabytes(r.nested.constants()),
               megabytes(r.saved()), fmt::format("{:.2f} %", r.saved_percent())});
    Json row = Json::object();
    row["blocks"] = r.nested.blocks;
    row["nested_blocks"] = r.nested.nested_blocks;
    row["codes_bytes"] = r.plain.packed;
    row["absmax_bytes"] = r.plain.constants();
    row["double_quantized_bytes"] = r.nested.constants();
    row["resident_bytes"] = r.total();
    j[name] = std::move(row);
  }
  fmt::print("The linear weights of real models, from their shapes alone.\n{}\n", table.text());
  return j;
}

Json print_maxima(const NamedWeight& weight) {
  const std::vector<float> absmax = block_maxima(weight.values, kBlocksize);
  const float offset = absmax_offset(absmax);
  const DynamicMap map = create_dynamic_map();
  std::vector<std::uint8_t> codes(absmax.size());
  std::vector<float> nested((absmax.size() + 255) / 256);
  std::vector<float> restored(absmax.size());
  quantize_absmax(absmax, offset, map, 256, codes, nested);
  restore_absmax(codes, map, nested, 256, offset, restored);
  Table table({"absmax", "- offset", "code", "map[code]", "restored", "off by"}, "rrrrrr");
  for (std::size_t b = 0; b < 4; ++b) {
    table.add({fmt::format("{:.6f}", absmax[b]), fmt::format("{:.6f}", absmax[b] - offset),
               std::to_string(codes[b]), fmt::format("{:.6f}", map[codes[b]]),
               fmt::format("{:.6f}", restored[b]),
               fmt::format("{:.2f} %", 100.0f * std::abs(restored[b] / absmax[b] - 1.0f))});
  }
  fmt::print(
      "{} of the embedded model: {} blocks, {} nested blocks.\n"
      "offset {:.6f} (the mean), the first nested absmax {:.6f}.\n{}\n",
      weight.name, absmax.size(), nested.size(), offset, nested[0], table.text());
  Json j = Json::object();
  j["offset"] = double{offset};
  j["nested_absmax"] = double{nested[0]};
  j["relative_error_of_absmax"] = relative_error(absmax, restored);
  return j;
}

Json print_mean(const std::vector<NamedWeight>& weights) {
  const std::vector<float> normal = normal_sample(kSample, {kSeed, 0});
  Json j = Json::object();
  Table table({"error of the restored maxima", "N(0, 1)", "embedded model"}, "lrr");
  for (const bool subtract : {true, false}) {
    const SecondLevel level{256, subtract};
    const std::vector<float> of_normal = block_maxima(normal, kBlocksize);
    double error = 0.0;
    double energy = 0.0;
    for (const NamedWeight& w : weights) {  // each tensor has an offset of its own
      const std::vector<float> maxima = block_maxima(w.values, kBlocksize);
      const double relative = relative_error(maxima, restored_maxima(maxima, level));
      double square = 0.0;
      for (const float m : maxima) square += static_cast<double>(m) * static_cast<double>(m);
      error += relative * relative * square;
      energy += square;
    }
    Json row = Json::object();
    row["normal"] = relative_error(of_normal, restored_maxima(of_normal, level));
    row["embedded"] = std::sqrt(error / energy);
    const std::string name = subtract ? "mean subtracted" : "not subtracted";
    table.add({name, fmt::format("{:.2f} %", 100.0 * row.at("normal").as_number()),
               fmt::format("{:.2f} %", 100.0 * row.at("embedded").as_number())});
    j[name] = std::move(row);
  }
  fmt::print("Why the mean is taken off first.\n{}\n", table.text());
  return j;
}

// What each setting costs in bits and in error.
Json print_errors(const std::vector<NamedWeight>& weights) {
  const std::vector<float> normal = normal_sample(kSample, {kSeed, 0});
  Json j = Json::object();
  Table table({"NF4 in blocks of", "bits a weight", "N(0, 1)", "embedded model"}, "lrrr");
  const std::vector<std::pair<std::int64_t, bool>> settings{{32, false}, {32, true},   {64, false},
                                                            {64, true},  {128, false}, {128, true}};
  for (const auto& [blocksize, double_quant] : settings) {
    const std::optional<SecondLevel> level =
        double_quant ? std::optional(SecondLevel{}) : std::nullopt;
    std::vector<float> restored;
    for (const NamedWeight& w : weights) {
      const std::vector<float> back = through_nf4(w.values, blocksize, level);
      restored.insert(restored.end(), back.begin(), back.end());
    }
    Json row = Json::object();
    row["bits"] = nominal_bits_per_weight({blocksize, double_quant});
    row["normal"] = relative_error(normal, through_nf4(normal, blocksize, level));
    row["embedded"] = relative_error(joined_values(weights), restored);
    const std::string name =
        std::to_string(blocksize) + (double_quant ? ", double quantization" : "");
    table.add({name, fmt::format("{:.4f}", row.at("bits").as_number()),
               fmt::format("{:.3f} %", 100.0 * row.at("normal").as_number()),
               fmt::format("{:.3f} %", 100.0 * row.at("embedded").as_number())});
    j[name] = std::move(row);
  }
  fmt::print("What it adds to the error of the weights, and what else the bits would buy.\n{}\n",
             table.text());
  return j;
}

// Instead of the perplexity of a published model with and without it (DQ-04).
Json print_losses() {
  const auto loss = [](const std::optional<SecondLevel>& level) {
    return embedded_loss(kDescriptions, [&](std::span<float> weight) {
      const std::vector<float> back = through_nf4(weight, kBlocksize, level);
      std::copy(back.begin(), back.end(), weight.begin());
    });
  };
  Json j = Json::object();
  j["float32"] = embedded_loss(kDescriptions, [](std::span<float>) {});
  j["nf4"] = loss(std::nullopt);
  j["nf4_double_quantization"] = loss(SecondLevel{});
  const auto value = [&](const char* key) { return j.at(key).as_number(); };
  fmt::print(
      "A stand-in for the perplexity of a published model: the loss of the embedded model on\n"
      "{} new product descriptions is {:.4f} in float32, {:.4f} in NF4, {:.4f} with double\n"
      "quantization.\n",
      kDescriptions, value("float32"), value("nf4"), value("nf4_double_quantization"));
  return j;
}

}  // namespace

Json tell() {
  const std::vector<NamedWeight> weights = embedded_weights();
  Json j = Json::object();
  j["bits_per_weight"] = print_bits();
  j["models"] = print_models();
  j["maxima"] = print_maxima(weights.front());
  j["mean"] = print_mean(weights);
  j["errors"] = print_errors(weights);
  j["embedded_loss"] = print_losses();
  return j;
}

}  // namespace qlora::chapter04
