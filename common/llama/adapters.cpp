#include "llama/adapters.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "llama/placement.h"
#include "lora/lora.h"
#include "lora/target_modules.h"
#include "ops/device_memory.h"

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
  a.scaling = scaling_of(config, p.name);
  a.dropout = static_cast<float>(config.lora_dropout);
  a.stream = stream;
  return a;
}

// The name that the matrix has in adapter_model.safetensors.
std::string peft_tensor_name(const std::string& module, char matrix) {
  return "base_model.model." + module + ".lora_" + matrix + ".weight";
}

void append_parameters(const Projection& p, const Adapter& a, std::vector<Parameter>& out) {
  out.push_back({peft_tensor_name(p.name, 'A'), a.A, a.grad_A});
  out.push_back({peft_tensor_name(p.name, 'B'), a.B, a.grad_B});
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
  if (config.use_dora) throw UsageError("use_dora is not supported yet");
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
    append_parameters(p, a, parameters);
    p.adapters.push_back(std::move(a));
  });
  return parameters;
}

PeftAdapter saved_form(const LlamaModel& model, const LoraConfig& config) {
  PeftAdapter adapter;
  adapter.config = config;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    if (!p.adapters.empty()) {
      adapter.modules.push_back(
          {p.name, ops::on(Device::cpu, p.adapters[0].A), ops::on(Device::cpu, p.adapters[0].B)});
    }
  });
  return adapter;
}

std::vector<Parameter> adapter_parameters(const LlamaModel& model) {
  std::vector<Parameter> parameters;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    for (const Adapter& a : p.adapters) append_parameters(p, a, parameters);
  });
  return parameters;
}

void merge_adapters(LlamaModel& model) {
  LinearGroup* current = nullptr;
  std::int64_t row = 0;
  model.for_each_projection([&](LinearGroup& group, Projection& p) {
    if (current != &group) row = 0;
    current = &group;
    require(static_cast<bool>(group.weight) && group.weight.dtype() == DType::f32, "merge_adapters",
            "a dense float32 base");
    for (const Adapter& a : p.adapters) {
      lora_merge<float>({group.K, p.N, a.A.dim(0), a.A.data<float>(), a.B.data<float>(),
                         static_cast<float>(a.scaling)},
                        1.0f, group.weight.data<float>() + row * group.K);
    }
    p.adapters.clear();
    row += p.N;
  });
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
