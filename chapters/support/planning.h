// From the command line of a training run to its shape: what plans and floors are made from.
#pragma once

#include <string>

#include "llama/training_shape.h"
#include "support/model_options.h"
#include "support/training_options.h"

namespace qlora {

/// The shape of the run that `train` would make with these options, from config.json alone: no
/// weight is looked at. A base that is not quantized becomes NF4 with double quantization unless
/// told otherwise. Arithmetic is float32 on the CPU; on a GPU what --bf16, --fp16, --dtype or
/// --bnb-4bit-compute-dtype says, else the folder's own dtype.
/// @param training  settled
/// @throws UsageError, BadInput
TrainingShape training_shape(ModelOptions model, const TrainingOptions& training);

/// "nf4 with double quantization", "int8", "bfloat16".
std::string base_format(const TrainingShape& shape);

}  // namespace qlora
