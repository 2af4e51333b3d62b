// What generation needs beside the decoder's own ops.
#include <algorithm>
#include <cmath>

#include "ops/device.h"
#include "ops/ops.h"

namespace qlora::ops {

void append_to_cache(const AttentionShape& s, const Tensor& qkv, const Tensor& positions,
                     const Tensor& keys, const Tensor& values) {
  constexpr const char* op = "append_to_cache";
  require(qkv.shape() == Shape{s.B * s.T, (s.H + 2 * s.K) * s.D}, op, "qkv of (B·T, (H+2K)·D)");
  require(keys.dim(0) == s.B && keys.dim(2) == s.K * s.D && keys.shape() == values.shape(), op,
          "keys and values of (B, capacity, K·D)");
  require(keys.dtype() == qkv.dtype() && values.dtype() == qkv.dtype(), op, "one dtype");
  require(positions.numel() == s.B * s.T, op, "positions of (B·T)");
  QLORA_ON_GPU(qkv, append_to_cache(s, qkv, positions, keys, values));
  on_device(qkv, op, [&]<typename T>(T) {
    const std::int64_t row = s.K * s.D, columns = (s.H + 2 * s.K) * s.D, capacity = keys.dim(1);
    for (std::int64_t i = 0; i < s.B * s.T; ++i) {
      const std::int32_t position = positions.data<std::int32_t>()[i];
      require(position >= 0 && position < capacity, op, "positions below the capacity");
      const std::int64_t to = (i / s.T * capacity + position) * row;
      const T* from = qkv.data<T>() + i * columns + s.H * s.D;
      std::copy_n(from, row, keys.data<T>() + to);
      std::copy_n(from + row, row, values.data<T>() + to);
    }
  });
}

void argmax(const Tensor& logits, const Tensor& ids) {
  constexpr const char* op = "argmax";
  const std::int64_t rows = logits.dim(0), V = logits.dim(1);
  require(ids.numel() == rows && ids.dtype() == DType::i32, op, "ids (rows) I32");
  QLORA_ON_GPU(logits, argmax(logits, ids));
  on_device(logits, op, [&]<typename T>(T) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* row = logits.data<T>() + r * V;
      std::int64_t largest = -1;
      for (std::int64_t v = 0; v < V; ++v) {
        const bool is_larger = largest < 0 ? !std::isnan(row[v]) : row[v] > row[largest];
        if (is_larger) largest = v;
      }
      ids.data<std::int32_t>()[r] = static_cast<std::int32_t>(std::max<std::int64_t>(largest, 0));
    }
  });
}

void increment(const Tensor& counts) {
  require(counts.dtype() == DType::i32, "increment", "counts I32");
  QLORA_ON_GPU(counts, increment(counts));
  for (std::int32_t& count : counts.span<std::int32_t>()) ++count;
}

}  // namespace qlora::ops
