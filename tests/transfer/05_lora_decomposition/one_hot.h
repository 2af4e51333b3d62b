// The slow oracle of LoRA on an embedding: a lookup is the product of a one-hot matrix.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qlora::one_hot {

/// A dense matrix whose products are taken by the definition.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;  ///< row by row

  Matrix(std::int64_t r, std::int64_t c) : rows(r), columns(c), values(r * c, 0.0) {}
  Matrix(std::int64_t r, std::int64_t c, const double* from)
      : rows(r), columns(c), values(from, from + r * c) {}

  double& at(std::int64_t row, std::int64_t column) { return values[row * columns + column]; }
  double at(std::int64_t row, std::int64_t column) const { return values[row * columns + column]; }

  Matrix transposed() const {
    Matrix out(columns, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) out.at(c, r) = at(r, c);
    }
    return out;
  }
};

inline Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix out(a.rows, b.columns);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < b.columns; ++c) {
      for (std::int64_t k = 0; k < a.columns; ++k) out.at(r, c) += a.at(r, k) * b.at(k, c);
    }
  }
  return out;
}

/// (T,V): row t is one at ids[t], else zero.
inline Matrix one_hot(std::span<const std::int32_t> ids, std::int64_t V) {
  Matrix out(static_cast<std::int64_t>(ids.size()), V);
  for (std::size_t t = 0; t < ids.size(); ++t) out.at(static_cast<std::int64_t>(t), ids[t]) = 1.0;
  return out;
}

}  // namespace qlora::one_hot
