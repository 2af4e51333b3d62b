// What the course says about the decoder, and what its own inputs come to.
#pragma once

#include <vector>

#include "course/ledger.h"
#include "llama/load.h"

namespace qlora::chapter08 {

/// The course's inputs: the models that it names, and the points at which it takes SiLU.
struct CourseInputs {
  LlamaConfig model = named_config("llama-3.2-3b");        ///< whose module tree it prints
  LlamaConfig llama31 = named_config("llama-3.1-8b");      ///< "LLaMA 3.1"
  std::vector<double> silu_at{-2.0, -1.0, 0.0, 1.0, 2.0};  ///< where its values are given
  double far = 10.0;                      ///< "large positive", and "large negative" with a minus
  std::vector<double> slopes_at{-1, -2};  ///< where "no hard cut-off" is looked at
};

/// SiLU(x) = x / (1 + e^−x), of the SwiGLU that the decoder runs.
double silu(double x);

/// Its derivative, of that SwiGLU's backward pass.
double silu_slope(double x);

/// Where SiLU is smallest, and where it turns from curving upward to curving downward.
double silu_minimum();
double silu_inflection();

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter08
