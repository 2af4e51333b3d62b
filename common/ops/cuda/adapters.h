// The adapters of a group as parts of the base's product: written beside its weight, and their
// gradients taken apart again.
#pragma once

#include "ops/cuda/product.h"
#include "ops/linear.h"

namespace qlora::cuda {

/// A (room,K): the A of all adapters below each other, rows of zeros behind them.
void stack_A(const LinearGroup& group, const Matrix& A);

/// B (ΣN,room): s·B of each adapter in its projection's rows and in the columns that its A has as
/// rows of stack_A(), zeros elsewhere.
void stack_B(const LinearGroup& group, const Matrix& B);

/// grad_A of each adapter += its rows of dA (room,K), grad_B += s times its part of dB (ΣN,room);
/// both F32.
void add_gradients(const LinearGroup& group, const Matrix& dA, const Matrix& dB);

}  // namespace qlora::cuda
