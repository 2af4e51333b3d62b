// Fake quantization on the GPU: the same bits as quantization/straight_through.cpp gives.
#pragma once

#include "core/tensor.h"
#include "quantization/straight_through.h"

namespace qlora::cuda {

/// See ops::fake_quantize. w and w_q of one dtype, float32, bfloat16 or float16. A range is found
/// by one warp, above 4096 values by one block of threads.
void fake_quantize(const FakeFormat& format, const Tensor& w, const Tensor& w_q);

/// See ops::fake_quantize_backward. dw_q and dw F32.
void fake_quantize_backward(const FakeFormat& format, const Tensor& w, const Tensor& dw_q,
                            const Tensor& dw);

}  // namespace qlora::cuda
