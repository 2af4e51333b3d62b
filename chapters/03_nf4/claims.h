// The claims of chapter 3, computed from what the course gives.
#pragma once

#include <cstdint>
#include <string_view>

#include "course/ledger.h"
#include "quantization/footprint.h"
#include "quantization/nf4.h"
#include "quantization/normal_quantiles.h"

namespace qlora::chapter03 {

/// What the values are computed from.
struct CourseInputs {
  Codebook codebook = kNf4Code;      ///< the 16 values
  double offset = kNormalMapOffset;  ///< of their derivation
  DecoderSizes llama = kLlama32_3b;  ///< the course's model
  DecoderSizes gemma = kGemma2b;     ///< that of its gemma-2b example
  bool load_in_4bit = true;          ///< BitsAndBytesConfig(load_in_4bit=…)
  double t4_capability = 7.5;        ///< compute capability of a T4
  double bfloat16_capability = 8.0;  ///< where bfloat16 tensor cores begin
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& in = {});

/// The 16-bit type that a GPU multiplies fast: "bfloat16" from bfloat16's first compute capability
/// on, "float16" below it.
std::string_view compute_dtype(double capability, double bfloat16_from);

}  // namespace qlora::chapter03
