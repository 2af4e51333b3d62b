// The run that memory and floors are published of.
#pragma once

#include <string>

#include "llama/load.h"
#include "llama/training_shape.h"

namespace qlora::testing {

/// The 3B shape in NF4 with double quantization, r=16 on all linears, 4 x 2,048 tokens in bfloat16.
inline TrainingShape shape_3b(ActivationPolicy policy = ActivationPolicy::keep) {
  TrainingShape s;
  s.config = named_config("llama-3.2-3b");
  s.lora.r = 16;
  s.lora.target_modules = std::string("all-linear");
  s.B = 4;
  s.T = 2048;
  s.activations = policy;
  return s;
}

}  // namespace qlora::testing
