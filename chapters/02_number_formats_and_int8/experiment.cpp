#include "experiment.h"

#include <cmath>
#include <functional>
#include <numeric>

#include "llama/decoder.h"
#include "llama/load.h"
#include "quantization/fake_quantization.h"
#include "quantization/nf4.h"
#include "text/batch.h"

namespace qlora::chapter02 {
namespace {

constexpr std::size_t kTexts = 128;

struct Format {
  const char* name;
  // Bits of scales that a weight (rows, columns) has on top, and what it becomes.
  double bits;
  std::int64_t blocksize;  // 0: a row; -1: the whole weight
  int integer_bits;        // 0: NF4
};

constexpr Format kFormats[]{
    {"int8, a scale a tensor", 8, -1, 8}, {"int8, a scale a row", 8, 0, 8},
    {"int4, a scale a tensor", 4, -1, 4}, {"int4, a scale a row", 4, 0, 4},
    {"int4, blocks of 64", 4, 64, 4},     {"NF4, blocks of 64", 4, 64, 0},
};

std::int64_t block_of(const Format& f, std::int64_t rows, std::int64_t columns) {
  if (f.blocksize > 0) return f.blocksize;
  return f.blocksize == 0 ? columns : rows * columns;
}

void restore(const Format& f, std::span<float> w, std::int64_t block) {
  if (f.integer_bits > 0) {
    fake_quantize_absmax(w, f.integer_bits, block, w);
    return;
  }
  std::vector<std::uint8_t> packed((w.size() + 1) / 2);
  std::vector<float> absmax((w.size() + static_cast<std::size_t>(block) - 1) /
                            static_cast<std::size_t>(block));
  quantize_nf4(w, block, packed, absmax);
  dequantize_nf4(packed, absmax, block, w);
}

// Calls f with the values (N,K) of every linear layer.
void for_each_linear(LlamaModel& model,
                     const std::function<void(std::span<float>, std::int64_t, std::int64_t)>& f) {
  for (DecoderLayer& layer : model.layers) {
    for (LinearGroup* group : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      std::int64_t row = 0;
      for (const Projection& part : group->parts) {
        f(group->weight.rows(row, row + part.N).span<float>(), part.N, group->K);
        row += part.N;
      }
    }
  }
}

// The line between the blank ones: a prompt asks a question, describes the thing, asks again.
std::string description_of(const std::string& prompt) {
  const std::size_t begin = prompt.find("\n\n") + 2;
  return prompt.substr(begin, prompt.rfind("\n\n") - begin);
}

Batch descriptions(const std::string& data_folder) {
  const Tokenizer tokenizer = Tokenizer::load(data_folder + "/tiny-llama");
  std::vector<TokenizedExample> examples;
  for (const Example& item : read_dataset(data_folder + "/prices/test.jsonl")) {
    if (examples.size() == kTexts) break;
    Example text;
    text.completion = description_of(item.prompt);
    examples.push_back(tokenize_example(text, tokenizer));
  }
  std::vector<std::int64_t> rows(examples.size());
  std::iota(rows.begin(), rows.end(), 0);
  return collate(examples, rows, tokenizer.padding());
}

double loss_of(LlamaModel& model, const Batch& batch) {
  Arena arena;
  model.reserve_positions(batch.input_ids.dim(1));
  return loss_forward(model, batch, arena) / static_cast<double>(batch.supervised);
}

QuantizedLoss loss_with(const Format& format, const std::string& folder, const Batch& batch) {
  LlamaModel model = load_model(folder);
  double error = 0.0;
  double energy = 0.0;
  double bits = 0.0;
  double weights = 0.0;
  for_each_linear(model, [&](std::span<float> w, std::int64_t N, std::int64_t K) {
    const std::vector<float> before(w.begin(), w.end());
    const std::int64_t block = block_of(format, N, K);
    restore(format, w, block);
    for (std::size_t i = 0; i < w.size(); ++i) {
      error += std::pow(double{w[i]} - double{before[i]}, 2);
      energy += std::pow(double{before[i]}, 2);
    }
    const auto count = static_cast<double>(w.size());
    bits += count * format.bits + 32.0 * std::ceil(count / static_cast<double>(block));
    weights += count;
  });
  return {format.name, bits / weights, std::sqrt(error / energy), loss_of(model, batch)};
}

}  // namespace

std::vector<QuantizedLoss> embedded_model_losses(const std::string& data_folder) {
  const std::string folder = data_folder + "/tiny-llama";
  const Batch batch = descriptions(data_folder);
  LlamaModel model = load_model(folder);
  std::vector<QuantizedLoss> rows{{"BF16, as it is", 16.0, 0.0, loss_of(model, batch)}};
  for (const Format& format : kFormats) rows.push_back(loss_with(format, folder, batch));
  return rows;
}

}  // namespace qlora::chapter02
