#include "training/step_floor.h"

#include "core/error.h"
#include "quantization/footprint.h"

namespace qlora {
namespace {

using ops::Part;

double d(std::int64_t n) {
  return static_cast<double>(n);
}

// Sums over the layers, each of a part of the groups.
struct Sums {
  double weights = 0;       // N·K of the base
  double codes = 0;         // bytes that hold them where they are quantized
  double lora = 0;          // parameters
  double lora_inputs = 0;   // columns of the inputs of groups with adapters
  double lora_outputs = 0;  // columns of the outputs of projections with adapters
};

// Bytes of the codes of one group, with their maxima.
double code_bytes(const TrainingShape& s, const GroupShape& group) {
  if (s.base == BaseFormat::dense) return 0;
  if (s.base == BaseFormat::int8) return d(group.weights()) + 4 * d(group.N());
  std::vector<Shape> shapes;
  shapes.reserve(group.parts.size());
  for (const std::int64_t N : group.parts) shapes.push_back({N, group.K});
  const FourBitBytes bytes = four_bit_bytes(shapes, {64, s.double_quant, 256});
  return d(bytes.packed + bytes.constants());
}

void add(Sums& sums, const TrainingShape& s, const GroupShape& group) {
  sums.weights += d(group.weights());
  sums.codes += code_bytes(s, group);
  if (group.adapters.empty()) return;
  sums.lora += d(group.adapter_parameters());
  sums.lora_inputs += d(group.K);
  for (const AdapterSize& a : group.adapters) sums.lora_outputs += d(a.N);
}

// All groups, and those that the policy lean computes again.
struct Model {
  Sums all, again;

  Model(const TrainingShape& s, const std::vector<LayerShape>& layers) {
    for (const LayerShape& layer : layers) {
      for (const GroupShape* group : layer.groups()) add(all, s, *group);
      for (const GroupShape* group : {&layer.qkv, &layer.gate_up}) add(again, s, *group);
    }
  }
};

class Costs {
 public:
  void add(std::string name, Part part, Bound bound, double amount) {
    if (amount > 0) costs_.push_back({std::move(name), part, bound, amount});
  }
  std::vector<StepCost> take() { return std::move(costs_); }

 private:
  std::vector<StepCost> costs_;
};

}  // namespace

std::optional<DeviceRates> gpu_rates(std::string_view name, DType arithmetic) {
  if (size_of(arithmetic) != 2) return std::nullopt;
  if (name.find("H100 80GB") != std::string_view::npos) {
    return DeviceRates{725e12, 501e12, 347e12, 3.0e12};
  }
  return std::nullopt;
}

std::optional<DeviceRates> cpu_rates(int threads) {
  if (threads == 1) return DeviceRates{121e9, 121e9, 121e9, 0};
  if (threads == 2) return DeviceRates{235e9, 235e9, 235e9, 0};
  return std::nullopt;
}

std::vector<StepCost> step_costs(const TrainingShape& s) {
  const LlamaConfig& c = s.config;
  const std::vector<LayerShape> layers = layer_shapes(c, s.lora);
  const Model model(s, layers);
  const double e = d(static_cast<std::int64_t>(size_of(s.arithmetic)));
  const double rows = d(s.rows()), L = d(c.num_hidden_layers), C = d(c.hidden_size);
  const double F = d(c.intermediate_size), V = d(c.vocab_size);
  const double rotated = d((c.num_attention_heads + c.num_key_value_heads) * c.head_dim);
  const double attention = 4 * d(s.B) * d(c.attention_size()) * d(s.T) * (d(s.T) + 1) / 2 * L;
  const double head = 2 * d(s.supervised_rows()) * V * C;
  const double norms = e * (8 * C + 2 * rotated) * rows * L;  // with RoPE and the residuals
  const double swiglu = e * 3 * F * rows * L;
  const auto dequantized = [&](const Sums& sums) {  // bytes of one pass
    return s.base == BaseFormat::dense ? 0 : sums.codes + e * sums.weights;
  };
  const auto products = [&](const Sums& sums) { return 2 * rows * (sums.weights + sums.lora); };

  Costs costs;
  costs.add("base linears, forward", Part::products, Bound::products, 2 * rows * model.all.weights);
  costs.add("base linears, dX", Part::products, Bound::products, 2 * rows * model.all.weights);
  costs.add("head, forward and dX", Part::head_products, Bound::products, 2 * head);
  costs.add("attention, forward", Part::attention_forward, Bound::attention_forward, attention);
  costs.add("attention, backward", Part::attention_backward, Bound::attention_backward,
            2.5 * attention);
  costs.add("LoRA's products", Part::lora, Bound::products, 6 * rows * model.all.lora);
  costs.add("dequantization, two passes", Part::dequantize, Bound::bytes,
            2 * dequantized(model.all));
  costs.add("norms, RoPE, SwiGLU, forward", Part::element_wise, Bound::bytes, norms + swiglu);
  costs.add("norms, RoPE, SwiGLU, backward", Part::element_wise, Bound::bytes, norms + 2 * swiglu);
  costs.add("LoRA's inputs and gradients, read", Part::lora, Bound::bytes,
            e * rows * (2 * model.all.lora_inputs + model.all.lora_outputs));
  costs.add("cross-entropy", Part::cross_entropy, Bound::bytes, 3 * e * d(s.supervised_rows()) * V);
  costs.add("AdamW", Part::optimizer, Bound::bytes,
            12 * model.all.lora + 2 * d(moment_bytes(s, layers)));
  const auto again = [&](const Sums& sums, double element_wise) {
    costs.add("again: dequantization", Part::dequantize, Bound::bytes, dequantized(sums));
    costs.add("again: norms, RoPE, SwiGLU", Part::element_wise, Bound::bytes, element_wise);
    costs.add("again: LoRA's inputs, read", Part::lora, Bound::bytes, e * rows * sums.lora_inputs);
  };
  switch (s.activations) {
    case ActivationPolicy::keep:
      break;
    case ActivationPolicy::lean:
      costs.add("again: q, k, v, gate, up", Part::products, Bound::products, products(model.again));
      again(model.again, norms);
      break;
    case ActivationPolicy::checkpoint:
    case ActivationPolicy::offload:
      costs.add("again: all linears", Part::products, Bound::products, products(model.all));
      costs.add("again: attention", Part::attention_forward, Bound::attention_forward, attention);
      again(model.all, norms + swiglu);
      break;
  }
  return costs.take();
}

double seconds_of(const StepCost& cost, const DeviceRates& rates) {
  switch (cost.bound) {
    case Bound::products:
      return cost.amount / rates.products;
    case Bound::attention_forward:
      return cost.amount / rates.attention_forward;
    case Bound::attention_backward:
      return cost.amount / rates.attention_backward;
    case Bound::bytes:
      return rates.copy > 0 ? cost.amount / rates.copy : 0.0;
  }
  return 0.0;
}

double step_floor(const std::vector<StepCost>& costs, const DeviceRates& rates) {
  double seconds = 0;
  for (const StepCost& cost : costs) seconds += seconds_of(cost, rates);
  return seconds;
}

double flops_of(const std::vector<StepCost>& costs) {
  double sum = 0;
  for (const StepCost& cost : costs) sum += cost.bound == Bound::bytes ? 0.0 : cost.amount;
  return sum;
}

}  // namespace qlora
