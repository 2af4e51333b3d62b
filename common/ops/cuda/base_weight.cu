#include "ops/cuda/base_weight.h"

#include "ops/cuda/device.h"
#include "ops/cuda/timeline.h"
#include "ops/quantization.h"
#include "ops/straight_through.h"

namespace qlora::cuda {

void copy_rows(const Matrix& from, const Matrix& to) {
  const Timed timed(ops::Part::lora);
  const std::size_t element = size_of(from.dtype);
  check(cudaMemcpy2DAsync(to.data, static_cast<std::size_t>(to.ld) * element, from.data,
                          static_cast<std::size_t>(from.ld) * element,
                          static_cast<std::size_t>(from.columns) * element,
                          static_cast<std::size_t>(from.rows), cudaMemcpyDeviceToDevice, stream()),
        "linear");
}

void write_base(const LinearGroup& group, Arena& arena, const Tensor& to) {
  if (group.weight) {
    const ArenaScope scope(arena);
    const Matrix W(ops::seen_weight(group, arena));
    return copy_rows(W, Matrix(to).columns_from(0, group.K));
  }
  std::int64_t row = 0;
  for (const Projection& part : group.parts) {
    if (!part.quantized) throw MachineLacks("a linear layer in int8 has no CUDA version");
    ops::dequantize_4bit(*part.quantized, to.rows(row, row + part.N));
    row += part.N;
  }
}

Matrix base_weight(const LinearGroup& group, DType dtype, Arena& arena) {
  if (group.weight) return Matrix(ops::seen_weight(group, arena));
  const Tensor weight = arena.take(dtype, {group.N(), group.K});
  write_base(group, arena, weight);
  return Matrix(weight);
}

}  // namespace qlora::cuda
