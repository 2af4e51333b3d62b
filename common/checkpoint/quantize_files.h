// Tensor files and model folders into 4 or 8 bits and back, one tensor at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/bitsandbytes.h"

namespace qlora {

/// The formats of bitsandbytes: 4 bits, rows of int8 (matrices only), blocks of dynamic 8-bit
/// codes.
enum class StoredFormat { nf4, fp4, int8, blockwise8 };

/// How tensors are quantized.
struct QuantizeSettings {
  StoredFormat format = StoredFormat::nf4;  ///< of the tensors written
  std::int64_t blocksize = 64;  ///< elements that share an absmax; rows of int8 have no blocks
  bool double_quant = false;    ///< whether absmax itself is held in 8 bits (4 bits only)
  /// Modules of a folder that stay as they are (llm_int8_skip_modules).
  std::optional<std::vector<std::string>> skip_modules = std::nullopt;

  /// The codebook of a 4-bit format.
  QuantType type() const { return format == StoredFormat::fp4 ? QuantType::fp4 : QuantType::nf4; }
};

/// What was done.
struct QuantizeSummary {
  std::size_t converted = 0;        ///< tensors quantized or dequantized
  std::size_t kept = 0;             ///< tensors copied
  std::int64_t elements = 0;        ///< of the converted tensors
  std::size_t bytes_quantized = 0;  ///< of the converted tensors, with all that restores them
  std::size_t bytes_read = 0;       ///< tensor data in
  std::size_t bytes_written = 0;    ///< tensor data out
};

/// Called at the start and after each tensor with the bytes of input that are done, those that
/// there are, and the tensor. Double quantization reads the input twice.
using QuantizeProgress =
    std::function<void(std::size_t done, std::size_t total, const std::string& tensor)>;

/// Quantizes every floating-point tensor of a safetensors file (empty ones, and for int8 those that
/// are no matrix, stay as they are) and writes bitsandbytes' names and bytes: tensor x gives x,
/// x.absmax, x.quant_map, … . Float64 is rounded to float32 first. No more than one tensor is in
/// memory.
/// @throws BadInput if the file is wrong, is quantized already, or a name would stand twice; and on
///         infinite values with double quantization, whose mean bitsandbytes could not store either
QuantizeSummary quantize_file(const std::string& input, const std::string& output,
                              const QuantizeSettings& settings,
                              const QuantizeProgress& progress = nullptr);

/// Restores every quantized tensor of a file.
/// @param dtype  of all floating-point tensors written; none: the one that each was quantized from,
///               float16 for rows of int8 and float32 for blocks of 8 bits, which record none
/// @throws BadInput if the file is wrong or holds no quantized tensor
QuantizeSummary dequantize_file(const std::string& input, const std::string& output,
                                std::optional<DType> dtype = std::nullopt,
                                const QuantizeProgress& progress = nullptr);

/// Quantizes the linear layers of a Hugging Face folder's decoder, writes quantization_config into
/// config.json and copies tokenizer and the like. `output` appears when all is in it.
/// @param compute_dtype  bnb_4bit_compute_dtype of quantization_config
/// @throws BadInput as quantize_file, and if the folder has nothing to quantize
QuantizeSummary quantize_folder(const std::string& input, const std::string& output,
                                const QuantizeSettings& settings, DType compute_dtype = DType::f32,
                                const QuantizeProgress& progress = nullptr);

/// Restores a folder and removes quantization_config; a dtype that is given becomes the dtype of
/// config.json. @throws BadInput as dequantize_file
QuantizeSummary dequantize_folder(const std::string& input, const std::string& output,
                                  std::optional<DType> dtype = std::nullopt,
                                  const QuantizeProgress& progress = nullptr);

}  // namespace qlora
