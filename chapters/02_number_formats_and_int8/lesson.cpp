#include "lesson.h"

#include <fmt/format.h>

#include <cmath>

#include "claims.h"
#include "course/table.h"
#include "experiment.h"
#include "llama/load.h"
#include "outliers.h"
#include "quantization/blockwise8.h"
#include "quantization/dynamic_map.h"
#include "quantization/fake_quantization.h"
#include "quantization/formats.h"
#include "support/data_sets.h"

namespace qlora::chapter02 {
namespace {

void print_patterns() {
  Table table({"x", "format", "s exponent mantissa", "the number"}, "rllr");
  for (const float x : {0.1f, 70000.0f, 1e-7f}) {
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      const FloatFormat format = float_format(dtype);
      const std::uint32_t pattern = pattern_of(format, x);
      table.add({dtype == DType::f32 ? fmt::format("{:g}", x) : "", std::string(format.name),
                 to_string(format, pattern),
                 fmt::format("{:.9g}", value_of(format, fields_of(format, pattern)))});
    }
  }
  fmt::print("Where the bits go: FP16 has precision, BF16 has range.\n{}\n", table.text());
}

Json print_sizes() {
  const LlamaConfig model = named_config("llama-3.2-3b");
  const LlamaConfig larger = named_config("llama-3.1-8b");
  Table table({"format", "bits", "3B, all weights", "as loaded", "8B, all weights", "as loaded"},
              "lrrrrr");
  const auto gigabytes = [](double bytes) { return fmt::format("{:.3f} GB", bytes / 1e9); };
  Json rows = Json::array();
  const std::pair<const char*, int> formats[]{
      {"FP32", 32}, {"FP16, BF16", 16}, {"int8", 8}, {"NF4, int4", 4}};
  for (const auto& [name, bits] : formats) {
    const bool quantized = bits < 16;
    table.add({name, std::to_string(bits), gigabytes(nominal_bytes(model, bits)),
               quantized ? gigabytes(loaded_bytes(model, bits)) : "",
               gigabytes(nominal_bytes(larger, bits)),
               quantized ? gigabytes(loaded_bytes(larger, bits)) : ""});
    rows.push_back(nominal_bytes(model, bits));
  }
  fmt::print(
      "Llama 3.2 3B and 3.1 8B. As loaded, embeddings, norms and head stay in 16 bits:\n{}\n",
      table.text());
  return rows;
}

double dynamic_error(const std::vector<float>& x) {
  constexpr std::int64_t kBlock = 256;
  std::vector<std::uint8_t> codes(x.size());
  std::vector<float> absmax((x.size() + kBlock - 1) / kBlock);
  std::vector<float> restored(x.size());
  const DynamicMap map = create_dynamic_map();
  quantize_blockwise8(x, map, kBlock, codes, absmax);
  dequantize_blockwise8(codes, map, absmax, kBlock, restored);
  return relative_error(x, restored);
}

Json print_granularity() {
  Table table({"data", "int8: tensor", "row (512)", "block 64", "dynamic, 256", "int4: tensor",
               "row (512)", "block 64"},
              "lrrrrrrr");
  Json rows = Json::array();
  for (const DataSet& data : data_sets(QLORA_DATA_DIR)) {
    const std::vector<float>& x = data.values;
    const auto n = static_cast<std::int64_t>(x.size());
    std::vector<std::string> cells{data.name};
    Json row = Json::object();
    row["data"] = data.name;
    for (const int bits : {8, 4}) {
      for (const std::int64_t block : {n, std::int64_t{512}, std::int64_t{64}}) {
        // [granularity]
        std::vector<float> restored(x.size());
        fake_quantize_absmax(x, bits, block, restored);
        const double error = relative_error(x, restored);
        // [/granularity]
        cells.push_back(fmt::format("{:.2f} %", 100.0 * error));
        row[fmt::format("int{} {}", bits, block == n ? "tensor" : std::to_string(block))] = error;
      }
      if (bits == 8) cells.push_back(fmt::format("{:.2f} %", 100.0 * dynamic_error(x)));
    }
    table.add(std::move(cells));
    rows.push_back(std::move(row));
  }
  fmt::print("One scale for how many values? Relative error of absmax integers:\n{}\n",
             table.text());
  return rows;
}

Json print_outliers() {
  Table table({"three columns of size", "int8 alone", "outliers in FP16", "columns set aside"},
              "rrrr");
  Json rows = Json::array();
  for (const float magnitude : {0.0f, 5.0f, 10.0f, 30.0f, 60.0f}) {
    const OutlierLayer layer(magnitude);
    const double plain = layer.error(0.0f);
    const double mixed = layer.error(kOutlierThreshold);
    table.add({fmt::format("{:g}", magnitude), fmt::format("{:.2f} %", 100.0 * plain),
               fmt::format("{:.2f} %", 100.0 * mixed),
               fmt::format("{} of {}", layer.outlier_columns(kOutlierThreshold), OutlierLayer::K)});
    Json row = Json::object();
    row["magnitude"] = double{magnitude};
    row["int8"] = plain;
    row["llm_int8"] = mixed;
    rows.push_back(std::move(row));
  }
  fmt::print(
      "LLM.int8(): x (32,256) of N(0, 1), three columns larger, times W (128,256)ᵀ. Error over\n"
      "what the other columns contribute:\n{}\n",
      table.text());
  return rows;
}

Json print_losses() {
  Table table({"linear layers of the embedded model", "bits a weight", "weight error", "loss",
               "perplexity"},
              "lrrrr");
  Json rows = Json::array();
  for (const QuantizedLoss& r : embedded_model_losses(QLORA_DATA_DIR)) {
    table.add({r.format, fmt::format("{:.3f}", r.bits),
               fmt::format("{:.2f} %", 100.0 * r.weight_error), fmt::format("{:.4f}", r.loss),
               fmt::format("{:.3f}", std::exp(r.loss))});
    Json row = Json::object();
    row["format"] = r.format;
    row["bits"] = r.bits;
    row["weight_error"] = r.weight_error;
    row["loss"] = r.loss;
    rows.push_back(std::move(row));
  }
  fmt::print(
      "Stand-in for FMT-23 and FMT-24, which need the real checkpoint: a model of 2.8 M\n"
      "parameters on 128 descriptions that it has not seen.\n{}",
      table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  fmt::print("Chapter 2: what 32, 16, 8 and 4 bits can hold, and how LLM.int8() computes.\n\n");
  print_patterns();
  j["bytes"] = print_sizes();
  j["granularity"] = print_granularity();
  j["outliers"] = print_outliers();
  j["embedded_model"] = print_losses();
  return j;
}

}  // namespace qlora::chapter02
