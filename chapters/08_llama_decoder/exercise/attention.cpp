// Task 4: causal grouped-query attention. common/ops/attention.h and ops.h say what is
// asked for.
#include "ops/attention.h"

#include "core/todo.h"

namespace qlora::cpu {

template <typename T>
void attention_forward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                       Heads<const T> v, const std::int32_t* segments, T* out, T* lse) {
  todo("attention_forward", "chapter 08, task 4");
}

template <typename T>
void attention_backward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                        Heads<const T> v, const std::int32_t* segments, const T* out, const T* lse,
                        const T* dout, Heads<T> dq, Heads<T> dk, Heads<T> dv) {
  todo("attention_backward", "chapter 08, task 4");
}

// Both types of arithmetic; leave these lines as they are.
template void attention_forward<float>(const AttentionShape&, Heads<const float>,
                                       Heads<const float>, Heads<const float>, const std::int32_t*,
                                       float*, float*);
template void attention_forward<double>(const AttentionShape&, Heads<const double>,
                                        Heads<const double>, Heads<const double>,
                                        const std::int32_t*, double*, double*);
template void attention_backward<float>(const AttentionShape&, Heads<const float>,
                                        Heads<const float>, Heads<const float>, const std::int32_t*,
                                        const float*, const float*, const float*, Heads<float>,
                                        Heads<float>, Heads<float>);
template void attention_backward<double>(const AttentionShape&, Heads<const double>,
                                         Heads<const double>, Heads<const double>,
                                         const std::int32_t*, const double*, const double*,
                                         const double*, Heads<double>, Heads<double>,
                                         Heads<double>);

}  // namespace qlora::cpu
