#include "claims.h"

#include <fmt/format.h>

#include "course/text.h"
#include "llama/load.h"
#include "llama/module_tree.h"

namespace qlora::chapter13 {
namespace {

constexpr double kMegabyte = 1e6, kGigabyte = 1e9, kFloat = 4.0, kBFloat16 = 2.0;

std::vector<AdapterShape> adapters(const CourseInputs& in, std::vector<std::string> modules,
                                   std::int64_t R) {
  LoraConfig config;
  config.r = R;
  config.target_modules = std::move(modules);
  return adapter_shapes(config, stacked(in.layer, in.layers));
}

const AdapterShape& first_named(const std::vector<AdapterShape>& all, std::string_view ending) {
  for (const AdapterShape& a : all) {
    if (a.linear.name.ends_with(ending)) return a;
  }
  throw std::invalid_argument("no adapter on " + std::string(ending));
}

void sizes(Ledger& ledger, const CourseInputs& in) {
  const auto small =
      static_cast<double>(lora_parameters(adapters(in, {"q_proj", "v_proj"}, in.small_rank)));
  ledger.number("AD-01", small * kFloat / kMegabyte);

  const auto all =
      static_cast<double>(decoder_parameters(in.layer, in.layers, in.hidden, in.vocabulary, true));
  double linear = 0;
  for (const LinearShape& l : stacked(in.layer, in.layers)) {
    linear += static_cast<double>(dense_parameters(l));
  }
  const double dense = all * kFloat / kGigabyte;
  const double nf4 = (linear / 2 + (all - linear) * kBFloat16) / kGigabyte;
  ledger.checked("AD-02",
                 fmt::format("the base in float32: {:.2f} GB; as it was trained, in NF4: {:.2f} GB",
                             dense, nf4),
                 nf4 < dense);
  const auto lite =
      static_cast<double>(lora_parameters(adapters(in, in.lite_modules, in.lite_rank)));
  ledger.checked("AD-03",
                 fmt::format("{:.1f} MB in bfloat16, {:.1f} MB in float32",
                             lite * kBFloat16 / kMegabyte, lite * kFloat / kMegabyte),
                 lite * kFloat < 0.01 * all * kFloat);
}

// The shapes that an adapter's two tensors have in the file: [R, in] and [out, R].
std::string stored(const AdapterShape& a) {
  return fmt::format("[{0}, {1}] and [{2}, {0}]", a.R, a.linear.K, a.linear.N);
}

std::int64_t count(const std::string& text, std::string_view part) {
  std::int64_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

// The lite model's modules as PEFT prints them, where equal layers stand as one.
std::string lite_modules(const CourseInputs& in) {
  LlamaConfig base = named_config("llama-3.2-3b");
  base.num_hidden_layers = in.layers;
  BitsAndBytesConfig nf4;
  nf4.quant_type = QuantType::nf4;
  NamedLora lite{"default", {}};
  lite.config.r = in.lite_rank;
  lite.config.target_modules = in.lite_modules;
  return module_tree(to_json(base), nf4, {&lite, 1});
}

void tree(Ledger& ledger, const CourseInputs& in) {
  const std::vector<AdapterShape> lite = adapters(in, in.lite_modules, in.lite_rank);
  const auto wrapped = static_cast<std::int64_t>(lite.size());
  const auto all = static_cast<std::int64_t>(in.layer.size()) * in.layers;
  ledger.checked("AD-06",
                 "q_proj: " + stored(first_named(lite, "q_proj")) +
                     ", k_proj: " + stored(first_named(lite, "k_proj")),
                 wrapped == 4 * in.layers);
  for (const auto& [id, name] : {std::pair{"AD-07", "q_proj"},
                                 {"AD-08", "k_proj"},
                                 {"AD-09", "v_proj"},
                                 {"AD-10", "o_proj"}}) {
    const AdapterShape& a = first_named(lite, name);
    ledger.number(id, static_cast<double>(lora_parameters(a.linear, a.R)));
  }
  const std::string modules = lite_modules(in);
  ledger.text("AD-11", fmt::format("{} untouched Linear4bit, {} wrapped",
                                   in.layers * count(modules, "_proj): Linear4bit("),
                                   in.layers * count(modules, "_proj): lora.Linear4bit(")));
  ledger.checked("AD-13", fmt::format("{} frozen layers with an A and a B each", wrapped),
                 wrapped == 4 * in.layers && wrapped < all);
}

}  // namespace

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  sizes(ledger, in);
  tree(ledger, in);
  ledger.test("AD-04", "GoldenSwitch.AdaptersComeAndGoOnOneBase");
  ledger.test("AD-05", "Combine.CatIsTheSumOfTheUpdates");
  ledger.test("AD-14", "GoldenMerge.IntoNf4");
  ledger.not_checkable(
      "AD-12", "The adapter is on the hub, and not here.",
      "hf download ed-donner/price-2025-11-30_15.10.55-lite --local-dir DIR; ./course run 13 "
      "inspect --adapter DIR should show r = 32, alpha = 64 and q, k, v, o");
}

}  // namespace qlora::chapter13
