// What the course says about min-max quantization, computed.
#pragma once

#include <vector>

#include "course/ledger.h"
#include "quantization/affine.h"

namespace qlora::chapter01 {

/// The inputs that the course gives; where it gives none (the asymmetric range), those of the
/// lesson.
struct CourseInputs {
  int from_bits = 32;                                   ///< of a value before
  int to_bits = 8;                                      ///< and after quantization
  Range range{0.0f, 1000.0f};                           ///< of the worked example
  Range asymmetric{-20.0f, 1000.0f};                    ///< with a zero point
  std::vector<float> examples{250.0f, 500.0f, 750.0f};  ///< values of the worked example
};

/// Computes a value for each of the chapter's 16 claims.
void fill_claims(Ledger& ledger, const CourseInputs& in = {});

}  // namespace qlora::chapter01
