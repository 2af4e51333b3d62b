#include "checkpoint/merge_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "checkpoint/conversion.h"
#include "checkpoint/eight_bit.h"
#include "core/files.h"
#include "lora/dora.h"

namespace qlora {
namespace {

// A weight of the input: what it will be called by, and in which shape and dtype it comes out.
struct Weight {
  TensorInfo out;
  std::vector<std::string> read;  // the tensors of the input that make it
  bool quantized = false;
};

std::vector<Weight> weights_of(const ModelFolder& in, std::optional<DType> dtype) {
  const std::set<std::string> parts = all_companions(in.tensors);
  std::vector<Weight> weights;
  for (const std::string& name : in.tensors.names()) {
    if (parts.count(name) > 0) continue;
    Weight w{in.tensors.info(name), {name}, is_quantized(in.tensors, name)};
    if (w.quantized) {
      for (std::string& part : companions_of(in.tensors, name)) w.read.push_back(std::move(part));
      if (is_stored_in_4bit(in.tensors, name)) {
        const QuantizedTensor q = read_4bit(in.tensors, name);
        w.out.shape = q.shape;
        w.out.dtype = q.dtype;
      } else {
        w.out.dtype = dtype_of(in.config).value_or(DType::f16);
      }
    }
    if (dtype && is_floating(w.out.dtype)) w.out.dtype = *dtype;
    weights.push_back(std::move(w));
  }
  return weights;
}

// A weight's values as they are stored, or in float32 where they are quantized.
Tensor values_of(const TensorFiles& in, const Weight& w) {
  const std::string& name = w.out.name;
  if (!w.quantized) return in.tensor(name);
  const Tensor x = Tensor::empty(DType::f32, w.out.shape);
  if (is_stored_in_4bit(in, name)) {
    dequantize_4bit(read_4bit(in, name), x.data<float>());
  } else {
    dequantize_int8(read_int8(in, name), x.data<float>());
  }
  return x;
}

// The module of a decoder layer's weight, which adapters may name.
std::optional<std::string> module_of(const TensorInfo& info) {
  constexpr std::string_view kEnd = ".weight";
  if (!is_quantizable(info, {})) return std::nullopt;
  return info.name.substr(0, info.name.size() - kEnd.size());
}

// The adapters of one module, in their order.
struct ModuleAdapter {
  const LoraModule* module = nullptr;
  double scaling = 1.0;
};

using AdaptersOfModules = std::map<std::string, std::vector<ModuleAdapter>>;

AdaptersOfModules adapters_of(const MergeSettings& s, const std::vector<Weight>& weights) {
  LinearModules sizes;
  for (const Weight& w : weights) {
    if (const auto module = module_of(w.out)) {
      sizes[*module] = {w.out.shape.at(0), w.out.shape.at(1)};
    }
  }
  AdaptersOfModules out;
  for (std::size_t i = 0; i < s.adapters.size(); ++i) {
    const PeftAdapter& a = s.adapters[i];
    check_fits(a, sizes);
    const double weight = s.weights.empty() ? 1.0 : s.weights[i];
    if (a.config.use_dora && weight != 1.0) {
      throw UsageError(a.path + ": an adapter of DoRA can be merged with the weight 1 alone");
    }
    for (const LoraModule& m : a.modules) {
      out[m.module].push_back({&m, weight * scaling_of(a.config, m.module)});
    }
  }
  return out;
}

// W (N,K) F32 with all of the module's adapters in it.
void merge(const std::vector<ModuleAdapter>& adapters, const Tensor& W) {
  struct Turn {
    Tensor A, B, m;
    LoraWeights<float> lora;
    std::vector<float> norm;
  };
  std::vector<Turn> turns;
  for (const ModuleAdapter& a : adapters) {
    Turn t{a.module->A.to(DType::f32), a.module->B.to(DType::f32), {}, {}, {}};
    t.lora = {W.dim(1),          W.dim(0),          t.A.dim(0),
              t.A.data<float>(), t.B.data<float>(), static_cast<float>(a.scaling)};
    if (a.module->magnitude) {
      t.m = a.module->magnitude.to(DType::f32);
      t.norm.resize(static_cast<std::size_t>(W.dim(0)));
      dora_norm(t.lora, W.data<float>(), t.norm.data());  // of the weight before any merge
    }
    turns.push_back(std::move(t));
  }
  for (const Turn& t : turns) {
    if (t.m) {
      dora_merge(t.lora, t.m.data<float>(), t.norm.data(), W.data<float>());
    } else {
      lora_merge(t.lora, 1.0f, W.data<float>());
    }
  }
}

double square_sum(const Tensor& x, const Tensor* minus, double* largest) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double d = static_cast<double>(x.data<float>()[i]) -
                     (minus != nullptr ? static_cast<double>(minus->data<float>()[i]) : 0.0);
    sum += d * d;
    if (largest != nullptr) *largest = std::max(*largest, std::abs(d));
  }
  return sum;
}

double ratio(double part, double whole) {
  return whole > 0 ? std::sqrt(part / whole) : 0.0;
}

// Writes the merged folder, and sums what the merge changed.
MergeSummary merge_dense(const ModelFolder& in, const std::string& output,
                         const std::vector<Weight>& weights, const AdaptersOfModules& adapters,
                         std::optional<DType> dtype, const QuantizeProgress& progress,
                         RequantizationError& change) {
  MergeSummary summary;
  double changed = 0, before = 0;
  std::size_t done = 0, total = 0;
  std::vector<TensorInfo> infos;
  for (const Weight& w : weights) {
    infos.push_back(w.out);
    total += w.out.nbytes();
  }
  write_folder_atomically(output, [&](const std::string& unfinished) {
    ModelWriter writer(unfinished, infos);
    for (const Weight& w : weights) {
      if (progress) progress(done, total, w.out.name);
      Tensor x = values_of(in.tensors, w);
      const auto module = module_of(w.out);
      const auto found = module ? adapters.find(*module) : adapters.end();
      if (found != adapters.end()) {
        const Tensor base = x.to(DType::f32);
        x = base.clone();
        merge(found->second, x);
        changed += square_sum(x, &base, nullptr);
        before += square_sum(base, nullptr, nullptr);
      }
      (found != adapters.end() ? summary.merged : summary.kept) += 1;
      writer.write(w.out.name, is_floating(x.dtype()) ? x.to(w.out.dtype) : x);
      for (const std::string& part : w.read) in.tensors.release(part);
      done += w.out.nbytes();
    }
    writer.finish();
    copy_companions(in.path, unfinished);
    write_config(unfinished, unquantized_config(in, dtype));
  });
  if (progress) progress(total, total, "");
  change.change = ratio(changed, before);
  return summary;
}

// The folder's own format, for its weights once more.
QuantizeSettings settings_of(const BitsAndBytesConfig& config) {
  if (config.load_in_8bit) return {StoredFormat::int8, 64, false, config.skip_modules};
  const bool fp4 = config.quant_type == QuantType::fp4;
  return {fp4 ? StoredFormat::fp4 : StoredFormat::nf4, 64, config.use_double_quant,
          config.skip_modules};
}

void measure(const std::string& merged, const std::string& quantized,
             const AdaptersOfModules& adapters, RequantizationError& error) {
  const ModelFolder a = ModelFolder::open(merged), b = ModelFolder::open(quantized);
  double off = 0, whole = 0;
  for (const Weight& w : weights_of(b, std::nullopt)) {
    const auto module = module_of(w.out);
    if (!module || adapters.count(*module) == 0) continue;
    const Tensor x = a.tensors.tensor(w.out.name).to(DType::f32);
    const Tensor q = values_of(b.tensors, w).to(DType::f32);
    off += square_sum(q, &x, &error.largest);
    whole += square_sum(x, nullptr, nullptr);
  }
  error.relative = ratio(off, whole);
}

}  // namespace

MergeSummary merge_folder(const std::string& input, const std::string& output,
                          const MergeSettings& settings, const QuantizeProgress& progress) {
  if (!settings.weights.empty() && settings.weights.size() != settings.adapters.size()) {
    throw UsageError("there are " + std::to_string(settings.weights.size()) + " weights for " +
                     std::to_string(settings.adapters.size()) + " adapters");
  }
  const ModelFolder in = ModelFolder::open(input);
  const auto quantization = quantization_of(in);
  if (settings.requantize && !quantization) {
    throw UsageError(input + " is not quantized: there is no format to quantize to again");
  }
  check_output_folder(input, output);
  const std::vector<Weight> weights = weights_of(in, settings.dtype);
  const AdaptersOfModules adapters = adapters_of(settings, weights);
  RequantizationError error;
  if (!settings.requantize) {
    return merge_dense(in, output, weights, adapters, settings.dtype, progress, error);
  }
  const std::string dense = output.substr(0, output.find_last_not_of('/') + 1) + ".merged";
  check_output_folder(input, dense);
  MergeSummary summary = merge_dense(in, dense, weights, adapters, settings.dtype, progress, error);
  try {
    quantize_folder(dense, output, settings_of(*quantization), quantization->compute_dtype);
    measure(dense, output, adapters, error);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(dense, ignored);
    throw;
  }
  std::filesystem::remove_all(dense);
  summary.error = error;
  return summary;
}

}  // namespace qlora
