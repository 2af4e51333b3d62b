// killed_run MODEL FOLDER: a short training run with dropout that goes on from the newest
// checkpoint in FOLDER, for kill_resume_test.cpp to kill at any moment.
#include <cstdio>
#include <exception>

#include "checkpoint/safetensors.h"
#include "core/random.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "training/trainer.h"

namespace qlora {
namespace {

// Twelve steps, a checkpoint after each; the adapter is written at the end.
void run(const std::string& base, const std::string& folder) {
  LlamaModel model = load_model(base);
  LoraConfig lora;
  lora.r = 8;
  lora.lora_dropout = 0.1;
  lora.target_modules = std::string("all-linear");
  attach_lora(model, lora, 5);
  std::vector<TokenizedExample> data;
  const Random random{3, 1};
  for (std::uint64_t i = 0; i < 40; ++i) {
    TokenizedExample e;
    for (std::uint64_t t = 0; t < 24; ++t) {
      e.input_ids.push_back(static_cast<std::int32_t>(random.below(24 * i + t, 380)));
    }
    e.labels = e.input_ids;
    data.push_back(e);
  }
  TrainingArguments arguments;
  arguments.learning_rate = 1e-2;
  arguments.per_device_train_batch_size = 8;
  arguments.max_steps = 12;
  arguments.save_steps = 1;
  arguments.logging_steps = 1;
  TrainingTask task{model, adapter_parameters(model), data, {}, 0, arguments, folder, {}};
  train(task, {}, newest_checkpoint(folder));
  NamedTensors end;
  for (const Parameter& p : task.parameters) end.emplace_back(p.name, p.value);
  write_safetensors(folder + "/end.safetensors", end);
}

}  // namespace
}  // namespace qlora

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    qlora::run(argv[1], argv[2]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
