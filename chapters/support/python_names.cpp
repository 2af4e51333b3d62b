#include "support/python_names.h"

#include <string>
#include <vector>

namespace qlora {
namespace {

// How rows are read, who is told, and how fast: not what is computed.
constexpr const char* kWithoutEffect[] = {
    "--attn-implementation",
    "--dataloader-num-workers",
    "--dataloader-persistent-workers",
    "--dataloader-pin-memory",
    "--dataloader-prefetch-factor",
    "--dataset-num-proc",
    "--ddp-backend",
    "--ddp-find-unused-parameters",
    "--ddp-timeout",
    "--disable-tqdm",
    "--do-eval",
    "--gradient-checkpointing-kwargs",
    "--hub-model-id",
    "--hub-private-repo",
    "--hub-strategy",
    "--include-num-input-tokens-seen",
    "--include-tokens-per-second",
    "--log-level",
    "--logging-dir",
    "--overwrite-output-dir",
    "--prediction-loss-only",
    "--remove-unused-columns",
    "--skip-memory-metrics",
    "--tf32",
    "--torch-compile",
    "--trust-remote-code",
    "--use-cache",
    "--use-liger-kernel",
};

struct NotSupported {
  const char* name;
  const char* why;
  std::vector<std::string> harmless;  // values that ask for what is done anyway
};

constexpr const char* kOneProcessAGpu =
    "a 4-bit base fits one device; --num-processes shares the rows";
constexpr const char* kAdaptersOnly = "A and B of linear layers are what is trained";

const std::vector<NotSupported>& not_supported() {
  static const std::vector<NotSupported> names{
      // [device_map]
      {"--device-map",
       "it spreads the layers of one model over GPUs that wait for each other; "
       "--num-processes gives each GPU rows of its own",
       {"auto", "cuda", "cuda:0", "0", R"({"": 0})", R"({"": "cuda:0"})", R"({"": "cuda"})"}},
      // [/device_map]
      // TrainingArguments, SFTConfig
      {"--auto-find-batch-size", "--max-memory says what fits, before the run", {"false"}},
      {"--completion-only-loss", "a completion's tokens alone are labels", {"true"}},
      {"--data-seed", "--seed is of the order of rows, too", {}},
      {"--dataset-text-field", "plain text is in the field \"text\"", {"text"}},
      {"--deepspeed", kOneProcessAGpu, {}},
      {"--fsdp", kOneProcessAGpu, {}},
      {"--fsdp-config", kOneProcessAGpu, {}},
      {"--greater-is-better", "the best is of the lowest eval_loss", {"false"}},
      {"--label-smoothing-factor", "labels are not smoothed", {"0", "0.0"}},
      {"--logging-first-step", "entries come every --logging-steps", {"false"}},
      {"--logging-strategy", "entries come every --logging-steps", {"steps"}},
      {"--lr-scheduler-kwargs", "the schedules have no settings of their own", {}},
      {"--metric-for-best-model", "the best is of the lowest eval_loss", {"loss", "eval_loss"}},
      {"--neftune-noise-alpha", "no noise is added to embeddings", {"0", "0.0"}},
      {"--optim-args", "AdamW's are --adam-beta1, --adam-beta2 and --adam-epsilon", {}},
      {"--push-to-hub", "nothing is sent anywhere", {"false"}},
      {"--report-to", "results are written to files only", {"none"}},
      {"--save-only-model", "a checkpoint is what a run goes on from", {"false"}},
      {"--save-safetensors", "safetensors are all that is written", {"true"}},
      // LoraConfig
      {"--bias", "biases are not trained", {"none"}},
      {"--fan-in-fan-out", "no layer of these models is transposed", {"false"}},
      {"--inference-mode", "an adapter that is trained is not frozen", {"false"}},
      {"--init-lora-weights", "A begins uniform and B at zero", {"true"}},
      {"--layer-replication", "layers are not repeated", {}},
      {"--layers-pattern", "the list of layers has the name that the model gives it", {"layers"}},
      {"--loftq-config", "A begins uniform and B at zero", {}},
      {"--lora-bias", "biases are not trained", {"false"}},
      {"--modules-to-save", kAdaptersOnly, {}},
      {"--peft-type", kAdaptersOnly, {"LORA"}},
      {"--target-parameters", kAdaptersOnly, {}},
      {"--task-type", "what is trained here predicts the next token", {"CAUSAL_LM"}},
      {"--trainable-token-indices", kAdaptersOnly, {}},
      // BitsAndBytesConfig
      {"--bnb-4bit-quant-storage", "codes are held in bytes", {"uint8"}},
      {"--llm-int8-skip-modules", "the output embedding alone is left as it is", {"lm_head"}},
      {"--llm-int8-threshold", "an outlier is of 6 or more", {"6", "6.0"}},
  };
  return names;
}

}  // namespace

void add_other_python_names(Options& verb) {
  for (const char* name : kWithoutEffect) verb.without_effect(name);
  for (const NotSupported& n : not_supported()) verb.unsupported(n.name, n.why, n.harmless);
}

}  // namespace qlora
