#include "lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "attention_maps.h"
#include "claims.h"
#include "course/table.h"
#include "llama/generation.h"
#include "llama/module_tree.h"
#include "llama/shapes.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace qlora::chapter08 {
namespace {

constexpr const char* kModel = QLORA_DATA_DIR "/tiny-llama";
constexpr const char* kText = "In the beginning God created the heaven and the earth.";

std::string share(std::int64_t n, std::int64_t of) {
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(n) / static_cast<double>(of));
}

Json tell_tree(const CourseInputs& in) {
  const LlamaConfig& c = in.model;
  fmt::print("Llama 3.2 3B, as transformers prints it:\n{}\n",
             module_tree(to_json(c), std::nullopt));
  Table table({"where the parameters are", "formula", "number", "share"}, "llrr");
  const std::int64_t L = c.num_hidden_layers, C = c.hidden_size, all = c.parameter_count();
  std::int64_t attention = 0, mlp = 0;
  for (const LinearShape& shape : model_shapes(to_json(c)).layer) {
    (shape.name.starts_with("mlp.") ? mlp : attention) += dense_parameters(shape);
  }
  const auto row = [&](const char* what, const char* formula, std::int64_t n) {
    table.add({what, formula, grouped(n), share(n, all)});
  };
  row("embedding, and head", "V C", c.vocab_size * C);
  row("attention", "L (2 C² + 2 C K D)", L * attention);
  row("MLP", "L · 3 C F", L * mlp);
  row("RMSNorm", "(2 L + 1) C", (2 * L + 1) * C);
  table.rule();
  row("all", "", all);
  fmt::print("{}\n", table.text());
  Json j = Json::object();
  j["parameters"] = all;
  j["attention"] = L * attention;
  j["mlp"] = L * mlp;
  return j;
}

// What a norm makes of a row; LayerNorm, which the model does not have, by its definition.
Json tell_norm() {
  const std::vector<double> x{1, -2, 3, 0.5}, ones(4, 1.0);
  std::vector<double> y(4), rstd(1);
  cpu::rms_norm_forward<double>(1, 4, x.data(), ones.data(), 1e-5, y.data(), rstd.data());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / 4;
  double variance = 0;
  for (const double v : x) variance += (v - mean) * (v - mean) / 4;
  Table table({"", "1st", "2nd", "3rd", "4th", "mean"}, "lrrrrr");
  const auto row = [&](const char* name, const std::vector<double>& v) {
    std::vector<std::string> cells{name};
    for (const double e : v) cells.push_back(fmt::format("{:.3f}", e));
    const double of_row = std::accumulate(v.begin(), v.end(), 0.0) / 4;
    cells.push_back(fmt::format("{:.3f}", std::abs(of_row) < 1e-12 ? 0.0 : of_row));
    table.add(cells);
  };
  std::vector<double> layer_norm = x;
  for (double& v : layer_norm) v = (v - mean) / std::sqrt(variance + 1e-5);
  row("x", x);
  row("RMSNorm", y);
  row("LayerNorm", layer_norm);
  fmt::print("{}\n", table.text());
  Json j = Json::object();
  j["rstd"] = rstd[0];
  return j;
}

Json tell_rope(const CourseInputs& in) {
  LlamaConfig plain = in.model;
  plain.rope_scaling = {};
  const std::vector<float> scaled = inverse_frequencies(in.model);
  const std::vector<float> unscaled = inverse_frequencies(plain);
  const auto tokens = [](float f) {
    const double n = 2 * std::numbers::pi / static_cast<double>(f);
    return n < 100 ? fmt::format("{:.2f}", n) : grouped(std::llround(n));
  };
  Table table({"RoPE: pair", "a turn takes, tokens", "scaled", "slower by"}, "rrrr");
  Json j = Json::array();
  for (const std::size_t i : {0, 16, 28, 29, 32, 35, 63}) {
    const double slower = static_cast<double>(unscaled[i]) / static_cast<double>(scaled[i]);
    table.add({fmt::format("{}, {}", i, i + scaled.size()), tokens(unscaled[i]), tokens(scaled[i]),
               fmt::format("{:.2f}", slower)});
    j.push_back(slower);
  }
  fmt::print("{}\n", table.text());
  return j;
}

Json tell_silu(const CourseInputs& in) {
  Table table({"x", "sigmoid", "SiLU", "ReLU", "slope of SiLU"}, "rrrrr");
  Json j = Json::array();
  std::vector<double> points = in.silu_at;
  points.push_back(silu_minimum());
  points.push_back(silu_inflection());
  std::sort(points.begin(), points.end());
  for (const double x : points) {
    table.add({fmt::format("{:.4g}", x), x == 0 ? "0.500" : fmt::format("{:.3f}", silu(x) / x),
               fmt::format("{:.4f}", silu(x)), fmt::format("{:.4g}", std::max(x, 0.0)),
               fmt::format("{:.4f}", std::abs(silu_slope(x)) < 1e-12 ? 0.0 : silu_slope(x))});
    j.push_back(silu(x));
  }
  fmt::print("{}\n", table.text());
  return j;
}

// How much of each head's attention goes to the first token, and to the one before.
Json tell_attention(LlamaModel& model, const Tokenizer& tokenizer) {
  const AttentionMaps maps = attention_maps(model, tokenizer, kText);
  const auto T = static_cast<std::int64_t>(maps.tokens.size());
  std::vector<std::string> headings{"on the token before"};
  for (std::int64_t h = 0; h < maps.heads; ++h) headings.push_back(fmt::format("head {}", h));
  Table table(headings, "lrrrrrr");
  Json j = Json::array();
  for (std::int64_t l = 0; l < maps.layers; ++l) {
    std::vector<std::string> cells{fmt::format("layer {}", l)};
    for (std::int64_t h = 0; h < maps.heads; ++h) {
      double before = 0;
      for (std::int64_t t = 1; t < T; ++t) before += maps.at(l, h, t, t - 1);
      before /= static_cast<double>(T - 1);
      cells.push_back(fmt::format("{:.0f} %", 100 * before));
      j.push_back(before);
    }
    table.add(cells);
  }
  fmt::print("The embedded model reads \"{}\"\n{}\n", kText, table.text());
  return j;
}

Json tell_text(LlamaModel& model, const Tokenizer& tokenizer) {
  const std::string prompt = "In the beginning";
  const std::vector<std::int32_t> ids = tokenizer.encode(prompt);
  Arena arena;
  model.reserve_positions(64);
  KeyValueCache cache(model, 64);
  const Tensor logits = decode_step(model, ids, cache, arena);
  const std::span<float> scores = logits.span<float>();
  const float largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float s : scores) sum += std::exp(static_cast<double>(s - largest));
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 3, order.end(),
                    [&](std::int32_t a, std::int32_t b) { return scores[a] > scores[b]; });
  Table table({"after \"In the beginning\"", "logit", "probability"}, "lrr");
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int32_t id = order[i];
    table.add(
        {tokenizer.decode(std::span(&id, 1)), fmt::format("{:.2f}", scores[id]),
         fmt::format("{:.1f} %", 100 * std::exp(static_cast<double>(scores[id] - largest)) / sum)});
  }
  const double all = std::accumulate(scores.begin(), scores.end(), 0.0);
  table.add({fmt::format("all {} together", grouped(std::ssize(scores))),
             fmt::format("{:.0f}", all), "100.0 %"});
  std::vector<std::int32_t> text = generate(model, ids, 24, {}, arena);
  text.insert(text.begin(), ids.begin(), ids.end());
  fmt::print("{}\n{}\n", table.text(), tokenizer.decode(text));
  Json j = Json::object();
  j["text"] = tokenizer.decode(text);
  return j;
}

}  // namespace

Json tell(const Ledger& /*ledger*/) {
  const CourseInputs in;
  LlamaModel model = load_model(kModel);
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  Json j = Json::object();
  j["model"] = tell_tree(in);
  j["norm"] = tell_norm();
  j["rope"] = tell_rope(in);
  j["silu"] = tell_silu(in);
  j["attention_on_the_token_before"] = tell_attention(model, tokenizer);
  j["text"] = tell_text(model, tokenizer);
  return j;
}

}  // namespace qlora::chapter08
