// VeRA element by element, by its definition: every term of every sum.
#include "vera.h"

namespace qlora {
namespace {

// b_n B_nr d_r A_rk
double term(const Vera& v, std::int64_t n, std::int64_t r, std::int64_t k) {
  return v.b[n] * v.B[n * v.R + r] * v.d[r] * v.A[r * v.K + k];
}

template <typename F>
void each(const Vera& v, F&& f) {
  for (std::int64_t n = 0; n < v.N; ++n) {
    for (std::int64_t r = 0; r < v.R; ++r) {
      for (std::int64_t k = 0; k < v.K; ++k) f(n, r, k);
    }
  }
}

}  // namespace

void vera_forward(const Vera& vera, std::int64_t tokens, const double* x, double* y) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    each(vera, [&](std::int64_t n, std::int64_t r, std::int64_t k) {
      y[t * vera.N + n] += term(vera, n, r, k) * x[t * vera.K + k];
    });
  }
}

void vera_backward(const Vera& vera, std::int64_t tokens, const double* x, const double* dy,
                   double* dd, double* db, double* dx) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    each(vera, [&](std::int64_t n, std::int64_t r, std::int64_t k) {
      const double g = dy[t * vera.N + n], in = x[t * vera.K + k];
      const double frozen = vera.B[n * vera.R + r] * vera.A[r * vera.K + k];
      dd[r] += g * vera.b[n] * frozen * in;
      db[n] += g * vera.d[r] * frozen * in;
      if (dx != nullptr) dx[t * vera.K + k] += g * term(vera, n, r, k);
    });
  }
}

void vera_merge(const Vera& vera, double sign, double* W) {
  each(vera, [&](std::int64_t n, std::int64_t r, std::int64_t k) {
    W[n * vera.K + k] += sign * term(vera, n, r, k);
  });
}

}  // namespace qlora
