#include "checkpoint/quantize_files.h"

#include <algorithm>

#include "checkpoint/conversion.h"
#include "core/files.h"

namespace qlora {
namespace {

using Action = ConversionItem::Action;

void refuse_quantized(const TensorFiles& in) {
  for (const std::string& name : in.names()) {
    if (is_quantized(in, name)) throw BadInput(in.path(), name, "is quantized already");
  }
}

// Tensors to quantize, where `wanted` says so, and tensors to keep.
template <typename F>
std::vector<ConversionItem> items_to_quantize(const TensorFiles& in, F&& wanted) {
  refuse_quantized(in);
  std::vector<ConversionItem> items;
  for (const std::string& name : in.names()) {
    const TensorInfo& info = in.info(name);
    const bool quantize = is_floating(info.dtype) && numel_of(info.shape) > 0 && wanted(info);
    items.push_back({info, quantize ? Action::quantize : Action::keep});
  }
  return items;
}

// Quantized tensors to restore, and the others, but for the parts of the quantized ones.
std::vector<ConversionItem> items_to_restore(const TensorFiles& in) {
  const std::set<std::string> parts = all_companions(in);
  if (parts.empty()) throw BadInput(in.path(), "", "holds no quantized tensor");
  std::vector<ConversionItem> items;
  for (const std::string& name : in.names()) {
    if (parts.count(name) > 0) continue;
    const bool restore = is_quantized(in, name);
    items.push_back({in.info(name), restore ? Action::restore : Action::keep});
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
  const bool matrices_only = settings.format == StoredFormat::int8;
  std::vector<ConversionItem> items = items_to_quantize(
      in, [&](const TensorInfo& info) { return !matrices_only || info.shape.size() == 2; });
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
  require(settings.format != StoredFormat::blockwise8, "quantize_folder",
          "a format that transformers loads");
  BitsAndBytesConfig config;
  config.load_in_8bit = settings.format == StoredFormat::int8;
  if (!config.load_in_8bit) config.quant_type = settings.type();
  config.use_double_quant = settings.double_quant;
  config.compute_dtype = compute_dtype;
  config.skip_modules = settings.skip_modules;
  std::vector<ConversionItem> items = items_to_quantize(
      in.tensors, [&](const TensorInfo& info) { return is_quantizable(info, config); });
  if (std::none_of(items.begin(), items.end(),
                   [](const ConversionItem& i) { return i.action == Action::quantize; })) {
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
  const auto quantization = quantization_of(in);
  if (!quantization) throw BadInput(input, "", "is not quantized");
  if (!dtype && quantization->load_in_8bit) dtype = dtype_of(in.config);  // int8 records none
  const Json json = unquantized_config(in, dtype);
  return convert_folder(in, output, json,
                        Conversion(in.tensors, items_to_restore(in.tensors), {}, dtype, progress));
}

}  // namespace qlora
