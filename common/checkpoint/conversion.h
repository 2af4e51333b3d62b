// The walk that quantizes or restores a set of tensors, one at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/quantize_files.h"

namespace qlora {

/// A tensor of the input: copied, quantized, or restored with the parts that belong to it.
struct ConversionItem {
  /// Restoring is dequantizing.
  enum class Action { keep, quantize, restore };
  TensorInfo info;               ///< of the input
  Action action = Action::keep;  ///< what becomes of it
};

/// Whether a tensor is stored in one of the formats, and what else belongs to it then.
bool is_quantized(const TensorFiles& files, const std::string& name);
std::vector<std::string> companions_of(const TensorFiles& files, const std::string& name);

/// The companions of all tensors: what is no weight of its own.
std::set<std::string> all_companions(const TensorFiles& files);

/// Two walks over the input. announce() says what will be written, because the header comes first;
/// write() converts tensor after tensor.
class Conversion {
 public:
  /// @param in     outlives the conversion, as `progress` does
  /// @param dtype  of all floating-point tensors written; none: their own
  Conversion(const TensorFiles& in, std::vector<ConversionItem> items,
             const QuantizeSettings& settings, std::optional<DType> dtype,
             const QuantizeProgress& progress);

  /// What will be written. With double quantization it reads all that is to be quantized: the mean
  /// of a tensor's block maxima stands as text in quant_state, and its digits make the header.
  /// @throws BadInput
  std::vector<TensorInfo> announce();

  /// @param writer  a SafetensorsWriter or ModelWriter of what announce() gave
  template <typename Writer>
  QuantizeSummary write(Writer& writer) {
    for (const ConversionItem& item : items_) {
      for (const auto& [name, tensor] : converted(item)) writer.write(name, tensor);
      finish(item);
    }
    writer.finish();
    return summary_;
  }

 private:
  DType written_dtype(DType dtype) const;
  std::vector<TensorInfo> outputs_of(const ConversionItem& item);
  NamedTensors outline(const TensorInfo& info);
  float offset_of(const TensorInfo& info);
  NamedTensors converted(const ConversionItem& item) const;
  void finish(const ConversionItem& item);
  void count(std::size_t bytes, const std::string& tensor);

  const TensorFiles& in_;
  std::vector<ConversionItem> items_;
  QuantizeSettings settings_;
  std::optional<DType> dtype_;
  const QuantizeProgress& progress_;
  std::size_t bytes_done_ = 0;
  std::size_t bytes_total_ = 0;
  QuantizeSummary summary_;
};

}  // namespace qlora
