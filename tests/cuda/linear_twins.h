// A group of linear layers with adapters on both devices, and one pass of it on each.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/twin.h"
#include "ops/linear.h"

namespace qlora::testing {

/// Rows and columns of x, the rank of every adapter, the rows of each projection.
struct LinearSizes {
  std::int64_t tokens, K, R;
  std::vector<std::int64_t> N;
};

/// What a group computes in, and what its base and its adapters are.
struct LinearKind {
  DType dtype = DType::f32;  ///< of x, and of a dense base
  float dropout = 0.0f;      ///< of every adapter
  bool dense = false;        ///< the base; else NF4 with double quantization
  bool dora = false;         ///< magnitudes, but for the second projection
  bool trains_base = false;  ///< a gradient of the base too, which is dense then
};

/// An adapter on the host, with gradients to add to; A and B are numbers of the dtype.
Adapter adapter_of(const LinearSizes& s, std::int64_t N, const LinearKind& kind,
                   std::uint64_t stream);

/// The adapter with its tensors on the GPU.
Adapter on_gpu(Adapter adapter);

/// The same group for both devices.
struct LinearTwins {
  LinearGroup host;    ///< in float32
  LinearGroup device;  ///< in the kind's dtype

  LinearTwins(const LinearSizes& s, const LinearKind& kind);
};

/// u and du are rounded to the format between two products: an error of u per element, through a
/// product of R terms. Every product sums in float32. `size` bounds the sums of magnitudes.
double product_bound(DType dtype, double size);

/// One pass forward and back on both devices: y, dx and every gradient agree within `scale` bounds,
/// and equal runs give equal bits.
void expect_twins(const LinearTwins& g, const LinearSizes& s, const LinearKind& kind,
                  double scale = 1.0);

}  // namespace qlora::testing
