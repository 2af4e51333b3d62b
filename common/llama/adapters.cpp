#include "llama/adapters.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "llama/placement.h"
#include "lora/dora.h"
#include "lora/target_modules.h"
#include "ops/device_memory.h"
#include "ops/dora.h"
#include "ops/ops.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

constexpr std::uint64_t kInitialization = 0x6c6f7261;  // keeps these numbers apart from all others

Adapter empty_adapter(const LlamaModel& model, const LinearGroup& group, const Projection& p,
                      const LoraConfig& config, std::uint64_t stream) {
  const std::int64_t R = r_of(config, p.name);
  const auto zeros = [&](const Shape& shape) {
    const Tensor t = ops::empty_on(model.device(), adapter_dtype(model.arithmetic()), shape);
    ops::fill_bytes(t, 0);
    return t;
  };
  Adapter a;
  a.A = zeros({R, group.K});
  a.B = zeros({p.N, R});
  a.grad_A = zeros(a.A.shape());
  a.grad_B = zeros(a.B.shape());
  if (config.use_dora) {
    a.magnitude = zeros({p.N});
    a.grad_magnitude = zeros({p.N});
  }
  a.scaling = scaling_of(config, p.name);
  a.dropout = static_cast<float>(config.lora_dropout);
  a.stream = stream;
  return a;
}

void append_parameters(const Projection& p, const Adapter& a, std::vector<Parameter>& out) {
  out.push_back({adapter_tensor_name(p.name, AdapterTensor::A), a.A, a.grad_A});
  out.push_back({adapter_tensor_name(p.name, AdapterTensor::B), a.B, a.grad_B});
  if (a.magnitude) {
    out.push_back(
        {adapter_tensor_name(p.name, AdapterTensor::magnitude), a.magnitude, a.grad_magnitude});
  }
}

// The rows of a dense weight that a projection has in its group.
Tensor rows_of(const LinearGroup& group, const Projection& p) {
  std::int64_t row = 0;
  for (const Projection* other = group.parts.data(); other != &p; ++other) row += other->N;
  return group.weight.rows(row, row + p.N);
}

// The weight of a projection where the model lies, in the dtype of its arithmetic.
Tensor dense_weight(const LlamaModel& model, const LinearGroup& group, const Projection& p) {
  if (group.weight) return rows_of(group, p);
  const DType dtype = model.device() == Device::cpu ? DType::f32 : model.arithmetic();
  const Tensor weight = ops::empty_on(model.device(), dtype, {p.N, group.K});
  if (p.quantized) ops::dequantize_4bit(*p.quantized, weight);
  if (p.int8) ops::dequantize_int8(*p.int8, weight);
  return ops::converted(weight, model.arithmetic());
}

}  // namespace

std::vector<std::string> linear_modules(const LlamaModel& model) {
  std::vector<std::string> names;
  model.for_each_projection(
      [&](const LinearGroup&, const Projection& p) { names.push_back(p.name); });
  return names;
}

std::vector<Parameter> attach_lora(LlamaModel& model, const LoraConfig& config,
                                   std::uint64_t seed) {
  validate(config);
  const std::vector<std::string> targets = find_target_modules(config, linear_modules(model));
  std::vector<Parameter> parameters;
  std::uint64_t index = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    ++index;  // counted over all modules: a module's start does not hang on the other targets
    if (std::find(targets.begin(), targets.end(), p.name) == targets.end()) return;
    Adapter a = empty_adapter(model, group, p, config, index);
    const Tensor A = Tensor::empty(DType::f32, a.A.shape()),
                 B = Tensor::empty(DType::f32, a.B.shape());
    lora_initialize(group.K, p.N, a.A.dim(0), {seed, stream_of(kInitialization, index)},
                    A.data<float>(), B.data<float>());
    ops::copy(A.to(a.A.dtype()), a.A);
    ops::copy(B.to(a.B.dtype()), a.B);
    if (a.magnitude) ops::dora_norm(dense_weight(model, group, p), a, a.magnitude);
    append_parameters(p, a, parameters);
    p.adapters.push_back(std::move(a));
  });
  return parameters;
}

std::vector<Parameter> attach_lora(LlamaModel& model, const PeftAdapter& adapter) {
  LinearModules sizes;
  model.for_each_projection(
      [&](const LinearGroup& group, const Projection& p) { sizes[p.name] = {p.N, group.K}; });
  check_fits(adapter, sizes);
  std::map<std::string, const LoraModule*> saved;
  for (const LoraModule& m : adapter.modules) saved[m.module] = &m;
  std::vector<Parameter> parameters;
  std::uint64_t index = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    ++index;
    const auto found = saved.find(p.name);
    if (found == saved.end()) return;
    Adapter a = empty_adapter(model, group, p, adapter.config, index);
    ops::copy(found->second->A.to(a.A.dtype()), a.A);
    ops::copy(found->second->B.to(a.B.dtype()), a.B);
    if (a.magnitude) ops::copy(found->second->magnitude.to(a.magnitude.dtype()), a.magnitude);
    append_parameters(p, a, parameters);
    p.adapters.push_back(std::move(a));
  });
  return parameters;
}

PeftAdapter saved_form(const LlamaModel& model, const LoraConfig& config) {
  PeftAdapter adapter;
  adapter.config = config;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    if (p.adapters.empty()) return;
    const Adapter& a = p.adapters[0];
    adapter.modules.push_back({p.name, ops::on(Device::cpu, a.A), ops::on(Device::cpu, a.B),
                               a.magnitude ? ops::on(Device::cpu, a.magnitude) : Tensor()});
  });
  if (is_all_linear(config.target_modules)) {
    adapter.config.target_modules = short_names(linear_modules(model));
  }
  return adapter;
}

std::vector<Parameter> adapter_parameters(const LlamaModel& model) {
  std::vector<Parameter> parameters;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    for (const Adapter& a : p.adapters) append_parameters(p, a, parameters);
  });
  return parameters;
}

AdapterSet take_adapters(LlamaModel& model) {
  AdapterSet taken;
  model.for_each_projection(
      [&](LinearGroup&, Projection& p) { taken.push_back(std::exchange(p.adapters, {})); });
  return taken;
}

void put_adapters(LlamaModel& model, AdapterSet adapters) {
  require(adapters.size() == linear_modules(model).size(), "put_adapters",
          "adapters of as many projections as the model has");
  std::size_t index = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    for (const Adapter& a : adapters[index]) {
      require(a.A.dim(1) == group.K && a.B.dim(0) == p.N, "put_adapters",
              "adapters of projections of these sizes");
    }
    p.adapters = std::move(adapters[index++]);
  });
}

namespace {

// DoRA's norms are of the weight before the first adapter, as they are in the forward pass.
std::vector<std::vector<float>> norms_of(const std::vector<Adapter>& adapters, const Tensor& W) {
  std::vector<std::vector<float>> norms;
  for (const Adapter& a : adapters) {
    norms.emplace_back(static_cast<std::size_t>(a.magnitude ? W.dim(0) : 0));
    if (!a.magnitude) continue;
    dora_norm(cpu::lora_weights<float>(a, W.dim(1), W.dim(0)), W.data<float>(),
              norms.back().data());
  }
  return norms;
}

}  // namespace

MergedAdapters merge_adapters(LlamaModel& model) {
  MergedAdapters merged;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    require(static_cast<bool>(group.weight) && group.weight.dtype() == DType::f32, "merge_adapters",
            "a dense float32 base");
    const Tensor W = rows_of(group, p);
    const auto norms = norms_of(p.adapters, W);
    for (std::size_t i = 0; i < p.adapters.size(); ++i) {
      const Adapter& a = p.adapters[i];
      const LoraWeights<float> lora = cpu::lora_weights<float>(a, group.K, p.N);
      if (a.magnitude) {
        dora_merge(lora, a.magnitude.data<float>(), norms[i].data(), W.data<float>());
      } else {
        lora_merge(lora, 1.0f, W.data<float>());
      }
    }
    merged.norms.push_back(norms);
  });
  merged.adapters = take_adapters(model);
  return merged;
}

void unmerge_adapters(LlamaModel& model, const MergedAdapters& merged) {
  std::size_t index = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    const Tensor W = rows_of(group, p);
    const auto& adapters = merged.adapters.at(index);
    for (std::size_t i = adapters.size(); i-- > 0;) {
      const Adapter& a = adapters[i];
      const LoraWeights<float> lora = cpu::lora_weights<float>(a, group.K, p.N);
      if (a.magnitude) {
        dora_unmerge(lora, a.magnitude.data<float>(), merged.norms[index][i].data(),
                     W.data<float>());
      } else {
        lora_merge(lora, -1.0f, W.data<float>());
      }
    }
    ++index;
  });
  put_adapters(model, merged.adapters);
}

void dequantize_base(LlamaModel& model) {
  LinearGroup* current = nullptr;
  std::int64_t row = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    if (current != &group) row = 0;
    current = &group;
    if (!p.quantized && !p.int8) return;
    if (!group.weight) group.weight = Tensor::empty(DType::f32, {group.N(), group.K});
    dequantize_codes(p, group.weight.data<float>() + row * group.K);
    p.quantized.reset();
    p.int8.reset();
    row += p.N;
  });
}

namespace {

// quantize(projection, rows of its group's weight) for every dense projection.
template <typename F>
void quantize_each(LlamaModel& model, F&& quantize) {
  LinearGroup* current = nullptr;
  std::int64_t row = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    if (current != &group) row = 0;
    current = &group;
    if (!group.weight) return;
    quantize(p, group.weight.rows(row, row + p.N));
    row += p.N;
    if (row == group.N()) group.weight = Tensor();
  });
}

}  // namespace

void quantize_base(LlamaModel& model, QuantType type, bool double_quant, DType dtype) {
  quantize_each(model, [&](Projection& p, const Tensor& weight) {
    p.quantized = quantize_4bit(weight.to(dtype), type, 64, double_quant);
  });
}

void quantize_base_int8(LlamaModel& model) {
  quantize_each(model, [](Projection& p, const Tensor& weight) { p.int8 = quantize_int8(weight); });
}

}  // namespace qlora
