// What stands for attention on cuDNN in a build without its headers.
#include "ops/cuda/attention_cudnn.h"

namespace qlora::cuda {

const std::string& cudnn_problem() {
  static const std::string problem = "this build is without cuDNN";
  return problem;
}

std::string cudnn_forward(const AttentionShape& /*shape*/, const Tensor& /*qkv*/,
                          const Tensor& /*out*/, const Tensor& /*lse*/) {
  return cudnn_problem();
}

std::string cudnn_backward(const AttentionShape& /*shape*/, const Tensor& /*qkv*/,
                           const Tensor& /*out*/, const Tensor& /*lse*/, const Tensor& /*dout*/,
                           Arena& /*arena*/, const Tensor& /*dqkv*/) {
  return cudnn_problem();
}

std::int64_t cudnn_scratch(const AttentionShape& /*shape*/, DType /*dtype*/,
                           std::int64_t /*out_row*/, std::int64_t /*dqkv_row*/) {
  return 0;
}

}  // namespace qlora::cuda
