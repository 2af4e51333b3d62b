#include "checkpoint/combine_adapters.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "lora/target_modules.h"

namespace qlora {
namespace {

// The rank that an adapter may need: r, or the largest of its rank_pattern.
std::int64_t largest_rank(const LoraConfig& config) {
  std::int64_t r = config.r;
  for (const auto& [pattern, rank] : config.rank_pattern) r = std::max(r, rank);
  return r;
}

void check_weights(std::size_t adapters, std::span<const double> weights) {
  if (adapters == 0) throw UsageError("there is no adapter to combine");
  if (weights.size() != adapters) {
    throw UsageError("there are " + std::to_string(weights.size()) + " weights for " +
                     std::to_string(adapters) + " adapters");
  }
  for (const double w : weights) {
    if (!std::isfinite(w)) throw UsageError("a weight of an adapter is not a finite number");
  }
}

// The regular expression that names an adapter's modules, or nullptr.
const std::string* pattern_of(const LoraConfig& config) {
  if (!config.target_modules || is_all_linear(config.target_modules)) return nullptr;
  return std::get_if<std::string>(&*config.target_modules);
}

// That an adapter goes with the first.
void check_goes_with(const PeftAdapter& first, const PeftAdapter& other, Combination combination) {
  const LoraConfig &a = first.config, &b = other.config;
  const auto refuse = [&](const std::string& field, const std::string& problem) {
    throw BadInput(other.path + "/adapter_config.json", field, problem + " in " + first.path);
  };
  if (b.use_dora) {
    throw BadInput(other.path + "/adapter_config.json", "use_dora",
                   "an adapter of DoRA cannot be combined with others: merge it into its base");
  }
  if (a.base_model_name_or_path != b.base_model_name_or_path) {
    refuse("base_model_name_or_path", "is " + b.base_model_name_or_path.value_or("null") +
                                          ", but " + a.base_model_name_or_path.value_or("null"));
  }
  if (combination == Combination::linear && largest_rank(a) != largest_rank(b)) {
    refuse("r", "is " + std::to_string(largest_rank(b)) + ", which linear cannot add to " +
                    std::to_string(largest_rank(a)));
  }
  if (combination == Combination::linear && a.rank_pattern != b.rank_pattern) {
    refuse("rank_pattern", "gives other ranks than, which linear cannot add to those");
  }
  if ((pattern_of(a) == nullptr) != (pattern_of(b) == nullptr)) {
    refuse("target_modules", "is a list beside a pattern, or a pattern beside a list");
  }
  if (a.layers_to_transform != b.layers_to_transform || a.layers_pattern != b.layers_pattern) {
    refuse("layers_to_transform", "names other layers than");
  }
  if (a.exclude_modules != b.exclude_modules) {
    refuse("exclude_modules", "names other modules than");
  }
}

std::int64_t combined_rank(std::span<const PeftAdapter> adapters, Combination combination,
                           std::optional<std::int64_t> svd_rank) {
  std::int64_t sum = 0, largest = 0;
  for (const PeftAdapter& a : adapters) {
    sum += largest_rank(a.config);
    largest = std::max(largest, largest_rank(a.config));
  }
  if (combination == Combination::cat) return sum;
  if (combination == Combination::svd && svd_rank) {
    if (*svd_rank < 1) throw UsageError("the rank of the combination is below 1");
    return *svd_rank;
  }
  return largest;
}

// Lists are united; patterns become alternatives.
NamesOrPattern united_targets(std::span<const PeftAdapter> adapters) {
  std::set<std::string> names;
  std::vector<std::string> patterns;
  for (const PeftAdapter& a : adapters) {
    if (const std::string* pattern = pattern_of(a.config)) {
      patterns.push_back(*pattern);
      continue;
    }
    std::vector<std::string> modules;
    if (a.config.target_modules && !is_all_linear(a.config.target_modules)) {
      modules = std::get<std::vector<std::string>>(*a.config.target_modules);
    } else {
      for (const LoraModule& m : a.modules) modules.push_back(m.module);
      modules = short_names(modules);
    }
    names.insert(modules.begin(), modules.end());
  }
  if (patterns.empty()) return std::vector<std::string>(names.begin(), names.end());
  if (std::ranges::adjacent_find(patterns, std::not_equal_to<>()) == patterns.end()) {
    return patterns.front();
  }
  std::string any;
  for (const std::string& p : patterns) any += (any.empty() ? "(" : "|(") + p + ")";
  return any;
}

// One module's adapters in float32, and what they count.
struct ModuleLoras {
  std::vector<Tensor> memory;
  std::vector<WeightedLora> loras;

  void add(const PeftAdapter& adapter, const LoraModule& m, double weight) {
    memory.push_back(m.A.to(DType::f32));
    memory.push_back(m.B.to(DType::f32));
    const Tensor &A = memory[memory.size() - 2], &B = memory.back();
    if (!loras.empty() && (A.dim(1) != loras[0].lora.K || B.dim(0) != loras[0].lora.N)) {
      throw BadInput(adapter.path, m.module,
                     "is " + std::to_string(A.dim(1)) + " in, " + std::to_string(B.dim(0)) +
                         " out; in another adapter " + std::to_string(loras[0].lora.K) + " in, " +
                         std::to_string(loras[0].lora.N) + " out");
    }
    const auto s = static_cast<float>(scaling_of(adapter.config, m.module));
    loras.push_back({{A.dim(1), B.dim(0), A.dim(0), A.data<float>(), B.data<float>(), s}, weight});
  }

  LoraFactors combined(Combination combination, std::int64_t R) const {
    switch (combination) {
      case Combination::linear:
        return combine_linear(loras);
      case Combination::cat:
        return combine_cat(loras);
      case Combination::svd:
        break;
    }
    return combine_svd(loras, R);
  }
};

}  // namespace

PeftAdapter combine_adapters(std::span<const PeftAdapter> adapters, std::span<const double> weights,
                             Combination combination, std::optional<std::int64_t> svd_rank) {
  check_weights(adapters.size(), weights);
  if (adapters.size() == 1) combination = Combination::linear;
  std::map<std::string, ModuleLoras> modules;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    check_goes_with(adapters[0], adapters[i], combination);
    for (const LoraModule& m : adapters[i].modules) {
      modules[m.module].add(adapters[i], m, weights[i]);
    }
  }
  PeftAdapter out;
  out.config = adapters[0].config;
  out.config.r = combined_rank(adapters, combination, svd_rank);
  out.config.lora_alpha = static_cast<double>(out.config.r);
  out.config.use_rslora = false;
  out.config.rank_pattern.clear();
  out.config.alpha_pattern.clear();
  out.config.target_modules = united_targets(adapters);
  for (const auto& [module, group] : modules) {
    const std::int64_t K = group.loras[0].lora.K, N = group.loras[0].lora.N, R = out.config.r;
    const LoraFactors f = with_rank(group.combined(combination, R), K, N, R);
    out.modules.push_back(
        {module, Tensor::from<float>(f.A, {R, K}), Tensor::from<float>(f.B, {N, R})});
  }
  return out;
}

}  // namespace qlora
