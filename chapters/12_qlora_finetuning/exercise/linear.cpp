// Task 1: the QLoRA linear. What it does stands in ops/linear.h and, with its equation, in
// ops/ops.h (linear_forward, linear_backward).
//
// There are: matmul (core/matmul.h), dequantize_codes and dropout_of (ops/linear.h), lora_forward
// and lora_backward (lora/lora.h) on lora_weights (ops/dora.h), the arena's scratch (core/arena.h).
// A base in int8 is multiplied by int8_product (ops/linear.h) where T is float. Parts with
// magnitudes are chapter 16's: dora_part_forward and dora_part_backward (ops/dora.h) do all that is
// theirs; the residual is added behind them. A dense base that trains is chapters 15's and 17's: a
// pass sees it as seen_weight gives it, and its gradient is add_weight_gradient's
// (ops/straight_through.h), which takes the product that you make.
#include "ops/linear.h"

#include "core/matmul.h"
#include "core/todo.h"
#include "ops/dora.h"
#include "ops/straight_through.h"

namespace qlora::cpu {

template <typename T>
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y,
                    const LinearSaved* saved) {
  todo("linear_forward", "chapter 12, task 1");
}

template <typename T>
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx) {
  todo("linear_backward", "chapter 12, task 1");
}

// Both types of arithmetic; leave these lines as they are.
template void linear_forward<float>(const LinearGroup&, const Tensor&, const Tensor&,
                                    const DropoutRun&, Arena&, const Tensor&, const LinearSaved*);
template void linear_forward<double>(const LinearGroup&, const Tensor&, const Tensor&,
                                     const DropoutRun&, Arena&, const Tensor&, const LinearSaved*);
template void linear_backward<float>(const LinearGroup&, const Tensor&, const LinearSaved&,
                                     const DropoutRun&, const Tensor&, Arena&, const Tensor&);
template void linear_backward<double>(const LinearGroup&, const Tensor&, const LinearSaved&,
                                      const DropoutRun&, const Tensor&, Arena&, const Tensor&);

}  // namespace qlora::cpu
