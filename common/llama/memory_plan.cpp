#include "llama/memory_plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/error.h"
#include "quantization/footprint.h"

namespace qlora {
namespace {

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kMapBytes = 16 * kFloat;         // of each 4-bit tensor: its codebook,
constexpr std::int64_t kNestedMapBytes = 256 * kFloat;  // and that of its block maxima
constexpr std::int64_t kProductWorkspace = std::int64_t{32} << 20;  // ops/cuda/product.cu
constexpr std::int64_t kLeastArena = std::int64_t{4} << 20;  // core/arena.cpp: the optimizer's own
constexpr std::int64_t kBatchTensors = 5;  // I32: ids, mask, labels, positions, targets
// What a training run on the CPU holds beside its tensors and above an idle process: code,
// tokenizer, 60,000 rows of the embedded data, what products pack; measured (docs/performance.md).
constexpr std::int64_t kProgram = std::int64_t{24} << 20;
constexpr double kMostBytes = 4e18;  // below what 64 bits count

// Above every term of the plan, in an arithmetic that does not overflow.
void refuse_absurd_sizes(const TrainingShape& s) {
  const LlamaConfig& c = s.config;
  const auto d = [](std::int64_t n) { return static_cast<double>(n); };
  std::int64_t r = s.lora.r;
  for (const auto& [pattern, rank] : s.lora.rank_pattern) r = std::max(r, rank);
  const double columns = 20 * (d(c.hidden_size) + d(c.qkv_size()) + d(c.intermediate_size)) +
                         d(c.num_attention_heads) + 32 * d(r);
  const double weights = d(c.hidden_size) * (2 * d(c.qkv_size()) + 3 * d(c.intermediate_size));
  const double ranks = 64 * (d(r) + 64) * (columns + d(r));
  const double bytes =
      d(c.num_hidden_layers) * (d(s.B) * d(s.T) * 4 * columns + 8 * weights + ranks) +
      8 * d(c.vocab_size) * d(c.hidden_size) + d(s.B) * d(s.T) * 4 * d(c.vocab_size);
  if (!(bytes < kMostBytes)) {
    throw UsageError("model, rank, batch and length are too large to count their bytes in 64 bits");
  }
}

void check(const TrainingShape& s) {
  require(s.B >= 1 && s.T >= 1, "memory_plan", "at least one row of one position");
  validate(s.lora);
  refuse_absurd_sizes(s);
  if (s.device == Device::cuda && s.base == BaseFormat::int8) {
    throw MachineLacks("a linear layer in int8 has no CUDA version");
  }
  if (s.device == Device::cpu && s.activations == ActivationPolicy::offload) {
    throw UsageError(
        "--activations offload moves what a GPU keeps to the host; on the CPU checkpoint does");
  }
}

class Parts {
 public:
  void add(std::string name, std::int64_t bytes) {
    if (bytes == 0) return;
    plan_.parts.push_back({std::move(name), bytes, bytes});
    plan_.resident += bytes;
  }
  void add_program(std::int64_t bytes) {
    plan_.parts.push_back({"program, tokenizer and data, about", bytes, bytes});
    plan_.program = bytes;
  }
  void add_arena(const StepMemory& step, const std::array<std::string, kArenaUses>& names) {
    for (std::size_t i = 0; i < kArenaUses; ++i) {
      if (step.most[i] > 0) plan_.parts.push_back({names[i], step.at_peak[i], step.most[i]});
    }
    plan_.arena = step.peak;
    plan_.pinned = step.pinned;
    plan_.moment = step.moment;
  }
  MemoryPlan& plan() { return plan_; }

 private:
  MemoryPlan plan_;
};

void add_base(Parts& parts, const TrainingShape& s, const std::vector<LayerShape>& layers) {
  const LlamaConfig& c = s.config;
  const auto element = static_cast<std::int64_t>(size_of(s.arithmetic));
  std::vector<Shape> shapes;
  std::int64_t rows = 0;  // of all matrices
  for (const LayerShape& layer : layers) {
    for (const GroupShape* group : layer.groups()) {
      for (const std::int64_t N : group->parts) shapes.push_back({N, group->K});
      rows += group->N();
    }
  }
  if (s.base == BaseFormat::dense) {
    parts.add("linear layers, " + to_string(s.base, s.arithmetic), total_numel(shapes) * element);
  } else if (s.base == BaseFormat::int8) {
    parts.add("linear layers, int8", total_numel(shapes));
    parts.add("the maxima of their rows", rows * kFloat);
  } else {
    const FourBitBytes four = four_bit_bytes(shapes, {64, s.double_quant, 256});
    const std::int64_t maps = kMapBytes + (s.double_quant ? kNestedMapBytes : 0);
    parts.add("linear layers, " + to_string(s.base, s.arithmetic), four.packed);
    parts.add(s.double_quant ? "their block maxima, double quantized, and maps"
                             : "their block maxima and maps",
              four.constants() + maps * static_cast<std::int64_t>(shapes.size()));
  }
  const std::int64_t embedding = c.vocab_size * c.hidden_size * element;
  parts.add(c.tie_word_embeddings ? "embedding, which is the head too" : "embedding and head",
            c.tie_word_embeddings ? embedding : 2 * embedding);
  parts.add("norms", (2 * c.num_hidden_layers + 1) * c.hidden_size * element);
}

// Cosines and sines, (positions, D/2) F32 each.
void add_rotary_tables(Parts& parts, const TrainingShape& s, std::int64_t positions) {
  parts.add("rotary tables", positions * s.config.head_dim * kFloat);
}

void add_workspaces(Parts& parts, const TrainingShape& s) {
  if (s.device == Device::cuda) parts.add("cuBLASLt workspace", kProductWorkspace);
}

std::string grouped(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

MemoryPlan training_plan(const TrainingShape& s, const std::vector<LayerShape>& layers) {
  check(s);
  Parts parts;
  if (s.device == Device::cpu) parts.add_program(kProgram);
  add_base(parts, s, layers);
  add_rotary_tables(parts, s, s.T);
  const std::int64_t trained = adapter_parameters(layers);
  parts.add("adapters, " + grouped(trained) + " parameters", trained * kFloat);
  parts.add("their gradients", trained * kFloat);
  parts.add(s.moments_in_8bit ? "the optimizer's moments, 8 bits" : "the optimizer's moments",
            moment_bytes(s, layers));
  if (s.device == Device::cuda) parts.add("the optimizer's scratch", kLeastArena);
  parts.add("batch", kBatchTensors * s.rows() * kFloat);
  add_workspaces(parts, s);
  const std::int64_t L = s.config.num_hidden_layers;
  parts.add_arena(
      training_pass_memory(s, layers),
      {"layer inputs",
       s.activations == ActivationPolicy::keep
           ? "activations kept of " + std::to_string(L) + " layers"
           : "kept of " + std::to_string(L) + " layers beside their inputs",
       "last norm, gradient of the residual stream", "activations of a layer computed again",
       "gradients and scratch of a layer", "weight buffer of a product", "logits of a chunk"});
  return parts.plan();
}

}  // namespace

MemoryPlan training_memory(const TrainingShape& shape) {
  return training_plan(shape, layer_shapes(shape.config, shape.lora));
}

MemoryPlan generation_memory(const TrainingShape& shape, std::int64_t prompt_tokens,
                             std::int64_t max_new_tokens) {
  TrainingShape s = shape;
  s.B = 1;
  s.T = prompt_tokens + max_new_tokens;
  s.activations = ActivationPolicy::keep;
  check(s);
  const std::vector<LayerShape> layers = layer_shapes(s.config, s.lora);
  Parts parts;
  add_base(parts, s, layers);
  add_rotary_tables(parts, s, s.T);
  const std::int64_t trained = adapter_parameters(layers);
  parts.add("adapters, " + grouped(trained) + " parameters", trained * kFloat);
  parts.add("cache of keys and values", 2 * s.config.num_hidden_layers * s.T *
                                            s.config.key_value_size() *
                                            static_cast<std::int64_t>(size_of(s.arithmetic)));
  add_workspaces(parts, s);
  parts.add_arena(
      generation_pass_memory(s, layers, prompt_tokens),
      {"", "", "", "", "activations of the prompt", "weight buffer of a product", "logits"});
  return parts.plan();
}

namespace {

// `shape` with another batch; as large a part of it is supervised.
TrainingShape with_batch(const TrainingShape& shape, std::int64_t B) {
  TrainingShape s = shape;
  s.B = B;
  if (shape.supervised) s.supervised = (*shape.supervised * B + shape.B - 1) / shape.B;
  return s;
}

FittingBatch largest_batch(const TrainingShape& shape, const std::vector<LayerShape>& layers,
                           std::int64_t limit) {
  const auto bytes = [&](std::int64_t B) {
    return training_plan(with_batch(shape, B), layers).total();
  };
  FittingBatch fit{shape.activations, 0, bytes(1)};
  if (fit.bytes > limit) return fit;
  std::int64_t above = 2;  // the smallest batch that is known not to fit
  while (bytes(above) <= limit) above *= 2;
  fit.B = above / 2;
  while (above - fit.B > 1) {
    const std::int64_t middle = fit.B + (above - fit.B) / 2;
    (bytes(middle) <= limit ? fit.B : above) = middle;
  }
  fit.bytes = bytes(fit.B);
  return fit;
}

// The longest rows of a batch of one that fit, or 0.
std::int64_t longest_row(const TrainingShape& shape, const std::vector<LayerShape>& layers,
                         std::int64_t limit) {
  TrainingShape s = with_batch(shape, 1);
  s.supervised.reset();
  std::int64_t fits = 0, above = shape.T;
  while (above - fits > 1) {
    s.T = fits + (above - fits) / 2;
    (training_plan(s, layers).total() <= limit ? fits : above) = s.T;
  }
  return fits;
}

std::vector<FittingBatch> what_fits(const TrainingShape& shape,
                                    const std::vector<LayerShape>& layers, std::int64_t limit) {
  std::vector<FittingBatch> fits;
  for (const ActivationPolicy policy : kActivationPolicies) {
    if (policy == ActivationPolicy::offload && shape.device == Device::cpu) continue;
    TrainingShape s = shape;
    s.activations = policy;
    fits.push_back(largest_batch(s, layers, limit));
  }
  return fits;
}

}  // namespace

std::vector<FittingBatch> what_fits(const TrainingShape& shape, std::int64_t limit) {
  return what_fits(shape, layer_shapes(shape.config, shape.lora), limit);
}

std::string fitting_options(const TrainingShape& shape, std::int64_t limit) {
  const std::vector<LayerShape> layers = layer_shapes(shape.config, shape.lora);
  const auto policy_option = [](const FittingBatch& fit) {
    return "--activations " + std::string(to_string(fit.policy));
  };
  const auto batch_option = [](std::int64_t B) {
    return "--per-device-train-batch-size " + std::to_string(B);
  };
  std::vector<std::string> options;
  std::string both;  // the fastest policy that runs at all, with the batch that it allows
  for (const FittingBatch& fit : what_fits(shape, layers, limit)) {
    if (fit.B == 0) continue;
    if (fit.policy == shape.activations) {
      options.push_back(batch_option(fit.B));
    } else if (fit.B >= shape.B) {
      options.push_back(policy_option(fit));
    } else if (both.empty()) {
      both = policy_option(fit) + " " + batch_option(fit.B);
    }
  }
  if (options.empty() && !both.empty()) options.push_back(both);
  if (options.empty()) {
    TrainingShape leanest = shape;
    leanest.activations =
        shape.device == Device::cpu ? ActivationPolicy::checkpoint : ActivationPolicy::offload;
    if (const std::int64_t T = longest_row(leanest, layers, limit); T > 0) {
      options.push_back("--activations " + std::string(to_string(leanest.activations)) + " " +
                        batch_option(1) + " --max-length " + std::to_string(T));
    }
  }
  std::string line;
  for (const std::string& option : options) line += (line.empty() ? "" : "; ") + option;
  return line;
}

std::string memory_shortage(const TrainingShape& shape, std::int64_t limit) {
  const std::int64_t needed = training_memory(shape).total();
  if (needed <= limit) return "";
  const std::string fitting = fitting_options(shape, limit);
  return "the run needs " + readable_bytes(needed) + ", " + readable_bytes(limit) + " are there; " +
         (fitting.empty() ? "no batch and no length of this model fits" : "these fit: " + fitting);
}

void require_memory(const TrainingShape& shape, std::int64_t limit) {
  if (const std::string line = memory_shortage(shape, limit); !line.empty()) {
    throw MachineLacks(line);
  }
}

std::string readable_bytes(std::int64_t bytes) {
  constexpr double kMiB = 1 << 20;
  const double mebibytes = static_cast<double>(bytes) / kMiB;
  std::array<char, 32> text{};
  if (mebibytes < 1023.95) {
    std::snprintf(text.data(), text.size(), "%.1f MiB", mebibytes);
  } else {
    std::snprintf(text.data(), text.size(), "%.1f GiB", mebibytes / 1024);
  }
  return text.data();
}

}  // namespace qlora
