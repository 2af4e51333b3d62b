#include "checkpoint/quantize_files.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/files.h"
#include "core/parallel.h"
#include "quantization/block_absmax.h"
#include "quantization/double_quantization.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNestedBlocksize = 256;
constexpr std::int64_t kPiece = 1 << 16;  // elements: a multiple of every block size

// A tensor of the input: copied, quantized, or restored (with the parts that belong to it).
struct Item {
  enum class Action { keep, quantize, restore };
  TensorInfo info;  // of the input
  Action action = Action::keep;
};

std::vector<TensorInfo> infos_of(const NamedTensors& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors)
    infos.push_back({name, tensor.dtype(), tensor.shape()});
  return infos;
}

// Counts bytes of input and reports them.
class Counter {
 public:
  Counter(const TensorFiles& files, int passes, const QuantizeProgress& report) : report_(report) {
    for (const SafetensorsFile& file : files.files()) {
      for (const TensorInfo& t : file.tensors()) total_ += t.nbytes();
    }
    total_ *= static_cast<std::size_t>(passes);
  }
  void add(std::size_t bytes, const std::string& tensor) {
    done_ += bytes;
    if (report_) report_(done_, total_, tensor);
  }

 private:
  const QuantizeProgress& report_;
  std::size_t done_ = 0;
  std::size_t total_ = 0;
};

// The offset that quantize_4bit will find: the mean of the block maxima. The header, which comes
// first, needs it, because its digits stand in the text of quant_state.
float nested_offset(const Tensor& x, std::int64_t blocksize) {
  const std::int64_t n = x.numel();
  const Tensor flat = x.reshape({n});
  std::vector<float> absmax(static_cast<std::size_t>((n + blocksize - 1) / blocksize));
  parallel_for((n + kPiece - 1) / kPiece, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t begin = from * kPiece; begin < std::min(n, to * kPiece); begin += kPiece) {
      const std::int64_t end = std::min(n, begin + kPiece);
      const Tensor piece = flat.rows(begin, end).to(DType::f32);
      for (std::int64_t at = 0; at < end - begin; at += blocksize) {
        const std::int64_t count = std::min(blocksize, end - begin - at);
        absmax[static_cast<std::size_t>((begin + at) / blocksize)] =
            block_absmax({piece.data<float>() + at, static_cast<std::size_t>(count)});
      }
    }
  });
  return absmax_offset(absmax);
}

// What quantize_4bit will give, without its values: tensors that have no memory.
QuantizedTensor outline(const TensorInfo& info, const QuantizeSettings& settings, float offset) {
  const auto shaped = [](DType dtype, std::int64_t size) {
    return Tensor::view(dtype, {size}, nullptr, nullptr);
  };
  QuantizedTensor q;
  q.type = settings.type;
  q.blocksize = settings.blocksize;
  q.dtype = info.dtype == DType::f64 ? DType::f32 : info.dtype;
  q.shape = info.shape;
  q.packed = Tensor::view(DType::u8, {(q.numel() + 1) / 2, 1}, nullptr, nullptr);
  q.code = shaped(DType::f32, 16);
  q.absmax = shaped(settings.double_quant ? DType::u8 : DType::f32, q.blocks());
  if (settings.double_quant) {
    q.nested_blocksize = kNestedBlocksize;
    q.nested_absmax = shaped(DType::f32, (q.blocks() + kNestedBlocksize - 1) / kNestedBlocksize);
    q.nested_code = shaped(DType::f32, 256);
    q.offset = offset;
  }
  return q;
}

// The tensors to be written, and how each comes about.
class Conversion {
 public:
  Conversion(const TensorFiles& in, std::vector<Item> items, const QuantizeSettings& settings,
             std::optional<DType> dtype, const QuantizeProgress& progress)
      : in_(in),
        items_(std::move(items)),
        settings_(settings),
        dtype_(dtype),
        counter_(in, settings.double_quant ? 2 : 1, progress) {}

  /// What will be written. Reads all that is to be quantized where double quantization is on.
  std::vector<TensorInfo> announce() {
    std::vector<TensorInfo> out;
    std::set<std::string> names;
    for (const Item& item : items_) {
      for (TensorInfo& info : outputs_of(item)) {
        if (!names.insert(info.name).second) {
          throw BadInput(in_.path(), info.name, "would stand twice in the output");
        }
        summary_.bytes_written += info.nbytes();
        out.push_back(std::move(info));
      }
    }
    return out;
  }

  template <typename Writer>
  QuantizeSummary write(Writer& writer) {
    for (const Item& item : items_) {
      for (const auto& [name, tensor] : converted(item)) writer.write(name, tensor);
      release(item);
      const bool kept = item.action == Item::Action::keep;
      (kept ? summary_.kept : summary_.converted) += 1;
    }
    writer.finish();
    return summary_;
  }

 private:
  DType written_dtype(DType dtype) const { return dtype_ && is_floating(dtype) ? *dtype_ : dtype; }

  std::vector<TensorInfo> outputs_of(const Item& item) {
    const TensorInfo& info = item.info;
    switch (item.action) {
      case Item::Action::quantize:
        summary_.elements += numel_of(info.shape);
        return infos_of(parts_of_4bit(info.name, outline(info, settings_, offset_of(info))));
      case Item::Action::restore: {
        const QuantizedTensor q = read_4bit(in_, info.name);
        summary_.elements += q.numel();
        return {{info.name, written_dtype(q.dtype), q.shape}};
      }
      default:
        if (settings_.double_quant) counter_.add(info.nbytes(), info.name);
        return {{info.name, written_dtype(info.dtype), info.shape}};
    }
  }

  float offset_of(const TensorInfo& info) {
    if (!settings_.double_quant) return 0.0f;
    const float offset = nested_offset(in_.tensor(info.name), settings_.blocksize);
    if (!std::isfinite(offset)) {
      throw BadInput(in_.file_of(info.name).path(), info.name,
                     "holds infinite values: double quantization needs a finite mean of maxima");
    }
    in_.release(info.name);
    counter_.add(info.nbytes(), info.name);
    return offset;
  }

  NamedTensors converted(const Item& item) const {
    const std::string& name = item.info.name;
    if (item.action == Item::Action::restore) {
      QuantizedTensor q = read_4bit(in_, name);
      q.dtype = written_dtype(q.dtype);
      return {{name, dequantize_4bit(q)}};
    }
    const Tensor x = in_.tensor(name);
    if (item.action == Item::Action::keep) {
      return {{name, dtype_ && is_floating(x.dtype()) ? x.to(*dtype_) : x}};
    }
    return parts_of_4bit(
        name, quantize_4bit(x, settings_.type, settings_.blocksize, settings_.double_quant));
  }

  // The input's pages, and those of the parts that only a restored tensor has.
  void release(const Item& item) {
    const std::string& name = item.info.name;
    std::vector<std::string> read{name};
    if (item.action == Item::Action::restore) {
      for (std::string& part : in_.names_with_prefix(name + ".")) read.push_back(std::move(part));
    }
    std::size_t bytes = 0;
    for (const std::string& part : read) {
      in_.release(part);
      bytes += in_.info(part).nbytes();
    }
    summary_.bytes_read += bytes;
    counter_.add(bytes, name);
  }

  const TensorFiles& in_;
  std::vector<Item> items_;
  QuantizeSettings settings_;
  std::optional<DType> dtype_;
  Counter counter_;
  QuantizeSummary summary_;
};

void refuse_quantized(const TensorFiles& in) {
  for (const std::string& name : in.names()) {
    if (is_stored_in_4bit(in, name)) throw BadInput(in.path(), name, "is in 4 bits already");
  }
}

// Tensors to quantize, where `wanted` says so, and tensors to keep.
template <typename F>
std::vector<Item> items_to_quantize(const TensorFiles& in, F&& wanted) {
  refuse_quantized(in);
  std::vector<Item> items;
  for (const std::string& name : in.names()) {
    const TensorInfo& info = in.info(name);
    const bool quantize = is_floating(info.dtype) && numel_of(info.shape) > 0 && wanted(info);
    items.push_back({info, quantize ? Item::Action::quantize : Item::Action::keep});
  }
  return items;
}

// 4-bit tensors to restore, and the others, but for the parts of the 4-bit ones.
std::vector<Item> items_to_restore(const TensorFiles& in) {
  std::set<std::string> parts;
  for (const std::string& name : in.names()) {
    if (!is_stored_in_4bit(in, name)) continue;
    for (std::string& part : in.names_with_prefix(name + ".")) parts.insert(std::move(part));
  }
  if (parts.empty()) throw BadInput(in.path(), "", "holds no tensor in 4 bits");
  std::vector<Item> items;
  for (const std::string& name : in.names()) {
    if (parts.count(name) > 0) continue;
    const bool restore = is_stored_in_4bit(in, name);
    items.push_back({in.info(name), restore ? Item::Action::restore : Item::Action::keep});
  }
  return items;
}

QuantizeSummary convert_file(const SafetensorsFile& in, const std::string& output,
                             Conversion conversion) {
  const SafetensorsMetadata metadata =
      in.metadata().empty() ? SafetensorsMetadata{{"format", "pt"}} : in.metadata();
  SafetensorsWriter writer(output, conversion.announce(), metadata);
  return conversion.write(writer);
}

// write_folder_atomically replaces the folder that is there: it must be a model, and not the input.
void check_output_folder(const std::string& input, const std::string& output) {
  std::error_code error;
  if (fs::equivalent(input, output, error)) throw BadInput(output, "", "is the input itself");
  if (!fs::exists(output, error) || fs::exists(output + "/config.json", error)) return;
  if (!fs::is_empty(output, error) || error) {
    throw BadInput(output, "", "exists and is not a model folder: it will not be replaced");
  }
}

QuantizeSummary convert_folder(const ModelFolder& in, const std::string& output, const Json& config,
                               Conversion conversion) {
  check_output_folder(in.path, output);
  QuantizeSummary summary;
  write_folder_atomically(output, [&](const std::string& unfinished) {
    ModelWriter writer(unfinished, conversion.announce());
    summary = conversion.write(writer);
    copy_companions(in.path, unfinished);
    write_config(unfinished, config);
  });
  return summary;
}

}  // namespace

QuantizeSummary quantize_file(const std::string& input, const std::string& output,
                              const QuantizeSettings& settings, const QuantizeProgress& progress) {
  const SafetensorsFile file = SafetensorsFile::open(input);
  const TensorFiles in(file);
  std::vector<Item> items = items_to_quantize(in, [](const TensorInfo&) { return true; });
  return convert_file(file, output,
                      Conversion(in, std::move(items), settings, std::nullopt, progress));
}

QuantizeSummary dequantize_file(const std::string& input, const std::string& output,
                                std::optional<DType> dtype, const QuantizeProgress& progress) {
  const SafetensorsFile file = SafetensorsFile::open(input);
  const TensorFiles in(file);
  return convert_file(file, output, Conversion(in, items_to_restore(in), {}, dtype, progress));
}

QuantizeSummary quantize_folder(const std::string& input, const std::string& output,
                                const QuantizeSettings& settings, DType compute_dtype,
                                const QuantizeProgress& progress) {
  const ModelFolder in = ModelFolder::open(input);
  if (in.config.find("quantization_config") != nullptr) {
    throw BadInput(input + "/config.json", "quantization_config",
                   "is there: the model is quantized already");
  }
  const BitsAndBytesConfig config{settings.type, settings.double_quant, compute_dtype,
                                  std::nullopt};
  std::vector<Item> items = items_to_quantize(
      in.tensors, [&](const TensorInfo& info) { return is_quantizable(info, config); });
  if (std::none_of(items.begin(), items.end(),
                   [](const Item& i) { return i.action == Item::Action::quantize; })) {
    throw BadInput(input, "", "has no decoder layer with a weight to quantize");
  }
  Json json = in.config;
  json["quantization_config"] = config.to_json();
  return convert_folder(in, output, json,
                        Conversion(in.tensors, std::move(items), settings, std::nullopt, progress));
}

QuantizeSummary dequantize_folder(const std::string& input, const std::string& output,
                                  std::optional<DType> dtype, const QuantizeProgress& progress) {
  const ModelFolder in = ModelFolder::open(input);
  if (!quantization_of(in)) throw BadInput(input, "", "is not quantized");
  Json json = Json::object();
  for (const auto& [key, value] : in.config.as_object()) {
    if (key != "quantization_config") json[key] = value;
  }
  if (dtype) {
    const char* key = json.find("torch_dtype") != nullptr ? "torch_dtype" : "dtype";
    json[key] = std::string(python_name(*dtype));
  }
  return convert_folder(in, output, json,
                        Conversion(in.tensors, items_to_restore(in.tensors), {}, dtype, progress));
}

}  // namespace qlora
