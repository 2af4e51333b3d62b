#include "cases.h"

#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/load.h"
#include "llama/step_memory.h"

namespace qlora::chapter09 {
namespace {

LoraConfig all_linear(std::int64_t r) {
  LoraConfig lora;
  lora.r = r;
  lora.target_modules = std::string("all-linear");
  return lora;
}

// So many rows of so many tokens, each of them with a label.
Batch full_batch(std::int64_t B, std::int64_t T) {
  std::vector<TokenizedExample> rows(static_cast<std::size_t>(B));
  std::vector<std::int64_t> order;
  for (TokenizedExample& row : rows) {
    order.push_back(static_cast<std::int64_t>(order.size()));
    for (std::int64_t t = 0; t < T; ++t) row.input_ids.push_back(static_cast<std::int32_t>(t + 5));
    row.labels = row.input_ids;
  }
  return collate(rows, order, 0);
}

}  // namespace

TrainingShape run_of(const std::string& model, std::int64_t R, std::int64_t B, std::int64_t T,
                     ActivationPolicy policy) {
  TrainingShape shape;
  shape.config = named_config(model);
  shape.lora = all_linear(R);
  shape.B = B;
  shape.T = T;
  shape.activations = policy;
  return shape;
}

std::vector<Card> cards() {
  constexpr std::int64_t kContext = std::int64_t{512} << 20;
  const auto gibibytes = [](std::int64_t n) { return (n << 30) - kContext; };
  return {{"T4, 15 GiB", gibibytes(15)}, {"24 GiB", gibibytes(24)}, {"80 GiB", gibibytes(80)}};
}

std::vector<MeasuredRun> measured_runs() {
  using enum ActivationPolicy;
  const auto of_3b = [](std::int64_t B, std::int64_t T, ActivationPolicy policy) {
    return run_of("llama-3.2-3b", 16, B, T, policy);
  };
  return {{"3B, 4 x 2048, keep", of_3b(4, 2048, keep), 16.4},
          {"3B, 4 x 2048, lean", of_3b(4, 2048, lean), 7.7},
          {"3B, 4 x 2048, checkpoint", of_3b(4, 2048, checkpoint), 5.0},
          {"3B, 4 x 2048, offload", of_3b(4, 2048, offload), 3.8},
          {"3B, 1 x 2048, keep", of_3b(1, 2048, keep), 6.1},
          {"3B, 4 x 512, checkpoint", of_3b(4, 512, checkpoint), 3.1},
          {"8B, 1 x 2048, checkpoint", run_of("llama-3.1-8b", 16, 1, 2048, checkpoint), 7.0},
          {"1B, 4 x 2048, keep", run_of("llama-3.2-1b", 16, 4, 2048, keep), 8.1}};
}

std::vector<ArenaRow> measured_arenas() {
  constexpr const char* kModel = QLORA_DATA_DIR "/tiny-llama";
  LoadOptions options;
  options.quantize = QuantType::nf4;
  options.double_quant = true;
  LlamaModel model = load_model(kModel, options);
  const LoraConfig lora = all_linear(16);
  attach_lora(model, lora, 1);
  const Batch batch = full_batch(8, 128);
  model.reserve_positions(positions_in(batch));
  std::vector<ArenaRow> rows;
  for (const ActivationPolicy policy :
       {ActivationPolicy::keep, ActivationPolicy::lean, ActivationPolicy::checkpoint}) {
    TrainingShape shape;
    shape.config = model.config;
    shape.lora = lora;
    shape.B = 8;
    shape.T = 128;
    shape.supervised = batch.supervised;
    shape.arithmetic = DType::f32;
    shape.activations = policy;
    shape.device = Device::cpu;
    ArenaRow row{policy, training_memory(shape).arena, 0};
    Arena arena;
    arena.reserve(2 * static_cast<std::size_t>(row.planned));  // one block, however much is taken
    loss_backward(model, batch, {{}, policy, 1.0}, arena, Tensor::zeros(DType::f64, {1}));
    row.measured = static_cast<std::int64_t>(arena.peak_bytes());
    rows.push_back(row);
  }
  return rows;
}

}  // namespace qlora::chapter09
