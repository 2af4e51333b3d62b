// Task 3: LoftQ. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <vector>

#include "quantization/quantized_tensor.h"

namespace qlora {

/// What a QLoRA module starts from: s · B · A makes up for what the codes have lost.
struct LoftqStart {
  QuantizedTensor base;  ///< (N,K) in NF4: blocks of 64, double quantization
  std::vector<float> A;  ///< (R,K)
  std::vector<float> B;  ///< (N,R)
};

/// QLoRA starts from quantize(W) and B = 0: not from the model that it was given. LoftQ looks for
/// codes and an update that are together near to W (Li et al., "LoftQ: LoRA-Fine-Tuning-Aware
/// Quantization", 2023). From an update of zero, `steps` times:
///
///   base   = quantize(W − s · B · A)
///   s · B · A = the matrix of rank R that is nearest to W − dequantize(base)
///
/// With the singular values σ of what the update stands for, each is shared: column p of B and row
/// p of A have the length sqrt(σ_p / s) both.
/// @param W        (N,K) F32
/// @param R        1 … min(N,K)
/// @param scaling  s, above zero
/// @param steps    at least 1
/// @throws std::invalid_argument on anything else
LoftqStart loftq_start(const Tensor& W, std::int64_t R, double scaling, int steps);

}  // namespace qlora
