#include "verbs.h"

#include <fmt/format.h>

#include <map>

#include "checkpoint/combine_adapters.h"
#include "checkpoint/merge_folder.h"
#include "core/files.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/text.h"
#include "support/model_options.h"

namespace qlora {
namespace {

std::vector<double> weights_of(const MergeOptions& o) {
  if (o.weights.empty()) return std::vector<double>(o.adapters.size(), 1.0);
  if (o.weights.size() != o.adapters.size()) {
    throw UsageError(fmt::format("--weights has {} numbers for {} adapters", o.weights.size(),
                                 o.adapters.size()));
  }
  return o.weights;
}

Combination combination_of(const std::string& name) {
  if (name == "linear") return Combination::linear;
  return name == "cat" ? Combination::cat : Combination::svd;
}

std::vector<PeftAdapter> read_all(const std::vector<std::string>& folders) {
  std::vector<PeftAdapter> adapters;
  adapters.reserve(folders.size());
  for (const std::string& folder : folders) adapters.push_back(read_adapter(folder));
  return adapters;
}

std::int64_t parameters_of(const PeftAdapter& adapter) {
  std::int64_t sum = 0;
  for (const LoraModule& m : adapter.modules) {
    sum += m.A.numel() + m.B.numel() + (m.magnitude ? m.magnitude.numel() : 0);
  }
  return sum;
}

void check_options(const MergeOptions& o) {
  if (o.adapters.empty()) throw UsageError("--adapter DIR is needed, once or several times");
  if (!o.model && o.requantize) throw UsageError("--requantize needs --model DIR");
  if (!o.model && o.dtype) throw UsageError("--dtype needs --model DIR");
  if (o.svd_rank && o.combination_type.value_or("svd") != "svd") {
    throw UsageError("--svd-rank is for --combination-type svd");
  }
}

Json combine(const MergeOptions& o, const std::vector<PeftAdapter>& adapters,
             const std::vector<double>& weights) {
  const PeftAdapter combined = combine_adapters(
      adapters, weights, combination_of(o.combination_type.value_or("svd")), o.svd_rank);
  for (const std::string& folder : o.adapters) check_output_folder(folder, o.output);
  write_folder_atomically(o.output,
                          [&](const std::string& folder) { write_adapter(folder, combined); });
  fmt::print("{} adapters combined: r = {}, {} modules, {} parameters: {}\n", adapters.size(),
             combined.config.r, combined.modules.size(), grouped(parameters_of(combined)),
             o.output);
  Json j = Json::object();
  j["r"] = combined.config.r;
  j["modules"] = static_cast<std::int64_t>(combined.modules.size());
  j["parameters"] = parameters_of(combined);
  return j;
}

Json merge(const MergeOptions& o, const std::vector<PeftAdapter>& adapters,
           const std::vector<double>& weights) {
  MergeSettings settings{adapters, weights, std::nullopt, o.requantize};
  if (o.dtype) settings.dtype = dtype_from_python(*o.dtype);
  if (o.combination_type) {
    settings.adapters = {
        combine_adapters(adapters, weights, combination_of(*o.combination_type), o.svd_rank)};
    settings.adapters[0].path = o.adapters[0];
    settings.weights = {};
  }
  std::optional<Progress> progress;
  const MergeSummary s =
      merge_folder(o.model.value_or(""), o.output, settings,
                   [&](std::size_t done, std::size_t total, const std::string& tensor) {
                     const auto megabytes = [](std::size_t b) {
                       return static_cast<std::int64_t>(b / 1'000'000) + 1;
                     };
                     if (!progress) progress.emplace("merge", megabytes(total), "MB");
                     progress->update(megabytes(done), [&] { return tensor; });
                   });
  if (progress) progress->finish("");
  for (const PeftAdapter& adapter : adapters) note_other_base(adapter, o.model.value_or(""));
  fmt::print("{} weights merged, {} tensors kept: {}\n", s.merged, s.kept, o.output);
  Json j = Json::object();
  j["merged"] = static_cast<std::int64_t>(s.merged);
  j["kept"] = static_cast<std::int64_t>(s.kept);
  if (!s.error) return j;
  fmt::print(
      "quantized again: weights are off by {:.4f} of their root mean square, at most {:.3g};\n"
      "the merge itself changed them by {:.4f}\n",
      s.error->relative, s.error->largest, s.error->change);
  j["requantization_error"] = s.error->relative;
  j["requantization_largest"] = s.error->largest;
  j["change"] = s.error->change;
  return j;
}

std::string text_of(const std::optional<NamesOrPattern>& value) {
  if (!value) return "q_proj, v_proj (the default)";
  if (const auto* pattern = std::get_if<std::string>(&*value)) return *pattern;
  std::string text;
  for (const std::string& name : std::get<std::vector<std::string>>(*value)) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

std::string kind_of(const LoraConfig& config) {
  if (config.use_dora) return config.use_rslora ? "DoRA, rank-stabilized" : "DoRA";
  return config.use_rslora ? "LoRA, rank-stabilized" : "LoRA";
}

}  // namespace

void run_merge(const MergeOptions& o) {
  check_options(o);
  const std::vector<double> weights = weights_of(o);
  const std::vector<PeftAdapter> adapters = read_all(o.adapters);
  Json j = o.model ? merge(o, adapters, weights) : combine(o, adapters, weights);
  j["verb"] = "merge";
  j["output"] = o.output;
  write_results(o.json.value_or(""), j);
}

void run_inspect(const std::string& folder, const std::optional<std::string>& json) {
  const PeftAdapter adapter = read_adapter(folder);
  const LoraConfig& c = adapter.config;
  fmt::print("{}: {} with r = {}, lora_alpha = {}, dropout {}\n", folder, kind_of(c), c.r,
             c.lora_alpha, c.lora_dropout);
  fmt::print("made for {}, on {}\n", c.base_model_name_or_path.value_or("a base it does not name"),
             text_of(c.target_modules));
  fmt::print("{} modules, {} parameters, {}\n", adapter.modules.size(),
             grouped(parameters_of(adapter)), python_name(adapter.modules.front().A.dtype()));
  // Modules of one name and one shape, in the order of their first.
  std::map<std::string, std::int64_t> kinds;
  for (const LoraModule& m : adapter.modules) {
    ++kinds[fmt::format("{:<12} A {:<14} B {:<14} scaling {:.4g}{}",
                        m.module.substr(m.module.rfind('.') + 1), to_string(m.A.shape()),
                        to_string(m.B.shape()), scaling_of(c, m.module),
                        m.magnitude ? ", magnitudes " + to_string(m.magnitude.shape()) : "")];
  }
  Json modules = Json::array();
  for (const auto& [text, count] : kinds) {
    fmt::print("  {:>3} x {}\n", count, text);
    modules.push_back(text);
  }
  Json j = Json::object();
  j["verb"] = "inspect";
  j["kind"] = kind_of(c);
  j["r"] = c.r;
  j["modules"] = static_cast<std::int64_t>(adapter.modules.size());
  j["parameters"] = parameters_of(adapter);
  j["shapes"] = modules;
  write_results(json.value_or(""), j);
}

}  // namespace qlora
