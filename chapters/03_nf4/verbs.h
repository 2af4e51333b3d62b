// quantize and dequantize: tensor files and model folders into 4 or 8 bits and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace qlora {

/// The command lines of both verbs.
struct ConversionOptions {
  std::optional<std::string> input;       ///< a file, or else
  std::optional<std::string> model;       ///< a folder
  std::string output;                     ///< the file or folder to write
  std::string type = "nf4";               ///< or "fp4", "int8", "blockwise8"
  std::int64_t blocksize = 64;            ///< values that share a scale
  bool double_quant = false;              ///< quantize the scales in their turn
  std::string compute_dtype = "float32";  ///< noted in config.json
  std::optional<std::string> dtype;       ///< of what is restored; none: what each was made from
  std::optional<std::string> json;        ///< where the summary goes
};

/// @throws UsageError on options that contradict each other, BadInput on what is read or written
void run_quantize(const ConversionOptions& o);
void run_dequantize(const ConversionOptions& o);

}  // namespace qlora
