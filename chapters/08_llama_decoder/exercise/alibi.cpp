// Task 7: attention with linear biases. What each function does stands in alibi.h.
#include "alibi.h"

#include "core/todo.h"

namespace qlora {

std::vector<double> alibi_slopes(std::int64_t H) {
  todo("alibi_slopes", "chapter 08, task 7");
}

void alibi_attention(const AlibiShape& shape, const double* q, const double* k, const double* v,
                     double* out) {
  todo("alibi_attention", "chapter 08, task 7");
}

void alibi_slope_gradient(const AlibiShape& shape, const double* q, const double* k,
                          const double* v, const double* dout, double* dslope) {
  todo("alibi_slope_gradient", "chapter 08, task 7");
}

}  // namespace qlora
