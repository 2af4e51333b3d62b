// Subnormal numbers taken for zero, where they cost more than they are worth.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace qlora {

/// While it lives, arithmetic of this thread takes subnormal operands for zero and gives zero for a
/// subnormal result (FTZ and DAZ of MXCSR; on other processors nothing changes). A processor works
/// up to a hundred times longer on a subnormal number; a training step has many, where the gradient
/// of a probability near 0 is scaled below 2^-126, and its products took three times as long.
class SubnormalsAreZero {
 public:
#if defined(__SSE2__)
  SubnormalsAreZero() { _mm_setcsr(before_ | 0x8040u); }
  ~SubnormalsAreZero() { _mm_setcsr(before_); }
#else
  SubnormalsAreZero() = default;
  ~SubnormalsAreZero() {}
#endif
  SubnormalsAreZero(const SubnormalsAreZero&) = delete;
  SubnormalsAreZero& operator=(const SubnormalsAreZero&) = delete;

 private:
#if defined(__SSE2__)
  unsigned before_ = _mm_getcsr();
#endif
};

}  // namespace qlora
