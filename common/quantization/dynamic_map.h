// The 256 values of bitsandbytes' dynamic 8-bit data type.
#pragma once

#include <array>

namespace qlora {

/// The values of the 256 codes.
using DynamicMap = std::array<float, 256>;

/// The dynamic map, ascending: for each decade 10^(i-6), i = 0 … 6, the means between neighbors of
/// a linspace from 0.1 to 1 of 2^i + 1 points (unsigned: 2^(i+1) + 1), times the decade, of both
/// signs where there are signs; then 0 and 1. The signed map has +1 but not -1.
///
/// Dettmers et al., "8-bit Optimizers via Block-wise Quantization" (2021), section 1.3;
/// bitsandbytes: functional.create_dynamic_map, with torch's float32 linspace as a GPU build
/// computes it (fused multiply-add): every bit equals the published constants.
DynamicMap create_dynamic_map(bool is_signed = true);

}  // namespace qlora
