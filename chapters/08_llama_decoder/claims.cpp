#include "claims.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "course/text.h"
#include "llama/module_tree.h"
#include "llama/shapes.h"
#include "lora/counting.h"
#include "ops/swiglu.h"

namespace qlora::chapter08 {
namespace {

// Where f, which has another sign at the two ends, is zero.
double zero_between(double low, double high, const std::function<double(double)>& f) {
  const bool rises = f(low) < 0;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    ((f(middle) < 0) == rises ? low : high) = middle;
  }
  return (low + high) / 2;
}

// One of the seven linear maps of a layer.
LinearShape map_of(const CourseInputs& in, std::string_view ending) {
  for (const LinearShape& shape : model_shapes(to_json(in.model)).layer) {
    if (shape.name.ends_with(ending)) return shape;
  }
  throw std::invalid_argument("the layer has no " + std::string(ending));
}

std::int64_t weights_in(const CourseInputs& in, std::string_view block) {
  std::int64_t sum = 0;
  for (const LinearShape& shape : model_shapes(to_json(in.model)).layer) {
    if (shape.name.starts_with(block)) sum += dense_parameters(shape);
  }
  return sum;
}

void sizes(Ledger& ledger, const CourseInputs& in) {
  const LlamaConfig& c = in.model;
  ledger.number("AR-01", static_cast<double>(c.parameter_count()) / 1e9);
  ledger.number("AR-02", static_cast<double>(c.num_hidden_layers));
  ledger.number("AR-03", static_cast<double>(c.attention_size()));
  const auto line = [&](const char* id, const char* name, const std::string& role) {
    const LinearShape shape = map_of(in, name);
    ledger.text(id, fmt::format("{} -> {}; {} weights; {}", shape.K, shape.N,
                                grouped(dense_parameters(shape)), role));
  };
  const std::int64_t H = c.num_attention_heads, K = c.num_key_value_heads, D = c.head_dim;
  line("AR-04", "q_proj", fmt::format("{} heads x {}", H, D));
  line("AR-05", "k_proj", fmt::format("{} key heads x {} (grouped-query attention)", K, D));
  line("AR-06", "v_proj", fmt::format("{} value heads x {}", K, D));
  line("AR-07", "o_proj", fmt::format("{} x {} back to {}", H, D, c.hidden_size));
  line("AR-08", "gate_proj", "SwiGLU gate");
  line("AR-09", "up_proj", "SwiGLU up");
  line("AR-10", "down_proj", fmt::format("back to {}", c.hidden_size));
  ledger.text("AR-11", grouped(c.vocab_size * c.hidden_size) + " weights");
  LlamaConfig untied = c;
  untied.tie_word_embeddings = false;
  ledger.checked("AR-12",
                 fmt::format("{} -> {}, tied to embed_tokens: {} further parameters (untied {})",
                             c.hidden_size, c.vocab_size,
                             c.tie_word_embeddings ? 0 : c.vocab_size * c.hidden_size,
                             grouped(untied.parameter_count())),
                 c.tie_word_embeddings && untied.parameter_count() - c.parameter_count() ==
                                              c.vocab_size * c.hidden_size);
  const std::int64_t norms = 2 * c.num_hidden_layers + 1;
  ledger.text("AR-14", fmt::format("2*{}+1 = {} RMSNorms of {} = {} weights", c.num_hidden_layers,
                                   norms, c.hidden_size, grouped(norms * c.hidden_size)));
  ledger.text("AR-15", fmt::format("{}", c.hidden_size));
  ledger.text("AR-20", grouped(weights_in(in, "mlp.")) + " weights per layer");
  ledger.text("AR-21", fmt::format("{} weights per layer; causal mask; {} query / {} KV heads",
                                   grouped(weights_in(in, "self_attn.")), H, K));
  ledger.checked("AR-23", fmt::format("{} -> {}", c.hidden_size, c.vocab_size),
                 c.vocab_size > c.hidden_size);
  ledger.number("AR-25", static_cast<double>(in.llama31.num_hidden_layers));
  ledger.number("AR-26", static_cast<double>(in.llama31.parameter_count()));
}

void tree(Ledger& ledger, const CourseInputs& in) {
  const std::string text = module_tree(to_json(in.model), std::nullopt);
  const auto has = [&](const std::string& part) { return text.find(part) != std::string::npos; };
  const std::string eps = fmt::format("eps={}", Json(in.model.rms_norm_eps).dump());
  ledger.checked(
      "AR-16",
      fmt::format("the same tree for {} layers; a real print also shows in_features= and "
                  "out_features=, {} and (rotary_emb): LlamaRotaryEmbedding()",
                  in.model.num_hidden_layers, eps),
      has(eps) && has("(rotary_emb): LlamaRotaryEmbedding()") && has("in_features=") &&
          has(fmt::format("(0-{}): {} x LlamaDecoderLayer(", in.model.num_hidden_layers - 1,
                          in.model.num_hidden_layers)));
  std::string names;
  const std::string norm = fmt::format("): LlamaRMSNorm(({},)", in.model.hidden_size);
  for (const char* name : {"input_layernorm", "post_attention_layernorm", "norm"}) {
    if (has("(" + (name + norm))) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  ledger.checked("AR-19", fmt::format("{}: LlamaRMSNorm(({},))", names, in.model.hidden_size),
                 names == "input_layernorm, post_attention_layernorm, norm");
  const LinearShape gate = map_of(in, "gate_proj"), down = map_of(in, "down_proj");
  ledger.checked(
      "AR-43",
      fmt::format("down_proj(SiLU(gate_proj x) * up_proj x): {0} -> {1} and {1}, {2} -> {3}",
                  gate.K, gate.N, down.K, down.N),
      has("(act_fn): SiLUActivation()") && gate.N == down.K && gate.K == down.N);
}

void activation(Ledger& ledger, const CourseInputs& in) {
  double apart = 0;
  std::string points;
  for (const double x : in.silu_at) {
    apart = std::max(apart, std::abs(silu(x) - x * (1 + std::tanh(x / 2)) / 2));
    points += (points.empty() ? "" : ", ") + readable(x);
  }
  ledger.checked("AR-27",
                 fmt::format("same (Swish with beta = 1): x/(1+exp(-x)) and x*(1+tanh(x/2))/2 are "
                             "within 1e-14 at {}",
                             points),
                 apart < 1e-14);
  const char* const ids[] = {"AR-28", "AR-29", "AR-30", "AR-31", "AR-32"};
  for (std::size_t i = 0; i < std::size(ids); ++i) ledger.number(ids[i], silu(in.silu_at.at(i)));
  ledger.text("AR-33", fmt::format("SiLU({0})={1:.6f}, SiLU(-{0})={2:.6f}, SiLU(0)={3}", in.far,
                                   silu(in.far), silu(-in.far), silu(0)));
  const double least = silu_minimum();
  ledger.text("AR-34", fmt::format("minimum {:.6f} at x = {:.6f}", silu(least), least));
  ledger.text("AR-35", fmt::format("f'' > 0 only up to x = {:.4f}, slightly concave beyond, always "
                                   "below y = x",
                                   silu_inflection()));
  ledger.text("AR-36", fmt::format("f'({}) = {:.4f}, f'({}) = {:.4f}; ReLU' = 0",
                                   in.slopes_at.at(0), silu_slope(in.slopes_at.at(0)),
                                   in.slopes_at.at(1), silu_slope(in.slopes_at.at(1))));
}

}  // namespace

double silu(double x) {
  const double gate_up[] = {x, 1.0};
  double y = 0;
  cpu::swiglu_forward<double>(1, 1, gate_up, &y);
  return y;
}

double silu_slope(double x) {
  const double gate_up[] = {x, 1.0}, dy = 1.0;
  double gradient[2];
  cpu::swiglu_backward<double>(1, 1, gate_up, &dy, gradient);
  return gradient[0];
}

double silu_minimum() {
  return zero_between(-2.0, -1.0, silu_slope);
}

double silu_inflection() {
  constexpr double h = 1e-4;  // the slope's own error over it, 1e-16/1e-4, and h² are both small
  return zero_between(2.0, 3.0, [](double x) { return silu_slope(x + h) - silu_slope(x - h); });
}

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  sizes(ledger, inputs);
  tree(ledger, inputs);
  activation(ledger, inputs);
  ledger.test("AR-13", "TiedHead.LogitsAreNoProbabilities");
  ledger.test("AR-17", "RmsNorm.TheMeanIsNotTakenOff");
  ledger.test("AR-18", "RmsNorm.FollowsItsEquation");
  ledger.test("AR-22", "Chapter08.OnlyTheRotationKnowsPositions");
  ledger.test("AR-24", "Chapter08.InstructHasTheShapesOfTheBase");
  ledger.not_checkable(
      "AR-37",
      "Only the slopes are arithmetic [AR-36]; whether deep networks train better takes many "
      "trainings of large ones, and this decoder has no ReLU.",
      "in Python with transformers: train LlamaForCausalLM(LlamaConfig(hidden_act=ACT)) from "
      "nothing with ACT \"silu\" and \"relu\", over the same data and at least three seeds; "
      "compare gradient norms and held-out loss");
  ledger.test("AR-38", "Chapter08.WeightsLieAsOutTimesIn");
  ledger.test("AR-39", "Chapter08.ALayerOfNeuronsIsOneMatrixProduct");
  ledger.not_checkable(
      "AR-40",
      "What GPUs were built for is history, and their advantage shows only where there is one.",
      "on a machine with a GPU: ./course run 8 generate --model DIR --prompt TEXT --json FILE with "
      "--device cpu and with --device cuda; compare tokens_per_second");
  ledger.test("AR-41", "Attention.WeightsSumToOne");
  ledger.test("AR-42", "Chapter08.OnlyAttentionMovesInformation");
}

}  // namespace qlora::chapter08
