// The scale of a block: its largest magnitude, as the CUDA kernel of bitsandbytes takes it.
#pragma once

#include <span>

namespace qlora {

/// max |x| over the block: NaN is ignored, subnormals count as 0, an empty block has 0
/// (bitsandbytes: kQuantizeBlockwise, fmaxf under --use_fast_math). A block of nothing but NaN has
/// 0 here; the kernel stores -FLT_MAX for it.
float block_absmax(std::span<const float> block);

/// 1 / absmax, what the kernel multiplies a block with: infinite for 0, and 0 where the reciprocal
/// would be subnormal (absmax above 2^126).
float block_reciprocal(float absmax);

}  // namespace qlora
