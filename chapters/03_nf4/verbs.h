// quantize and dequantize: tensor files and model folders into 4 bits and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace qlora {

/// The command lines of both verbs.
struct ConversionOptions {
  std::optional<std::string> input;  ///< a file, or else
  std::optional<std::string> model;  ///< a folder
  std::string output;
  std::string type = "nf4";
  std::int64_t blocksize = 64;
  bool double_quant = false;
  std::string compute_dtype = "float32";
  std::optional<std::string> dtype;
  std::optional<std::string> json;
};

/// @throws UsageError on options that contradict each other, BadInput on what is read or written
void run_quantize(const ConversionOptions& o);
void run_dequantize(const ConversionOptions& o);

}  // namespace qlora
