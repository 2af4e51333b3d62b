// Sizes of matrices that arrive as flat spans.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qlora {

/// Whether `size` is rows · columns: false where a dimension is negative or the product overflows.
inline bool has_elements(std::size_t size, std::int64_t rows, std::int64_t columns) {
  std::int64_t elements = 0;
  return rows >= 0 && columns >= 0 && !__builtin_mul_overflow(rows, columns, &elements) &&
         size == static_cast<std::size_t>(elements);
}

}  // namespace qlora
