// What a group of linear layers takes from the arena, by sizes alone: ops/linear.cpp and
// ops/cuda/linear.cu, replayed.
#pragma once

#include "llama/memory_replay.h"

namespace qlora {

/// u = x·Aᵀ of the group's adapters, which the backward pass needs.
void take_u(Replay& r, ArenaUse use, const GroupShape& g);

/// The scratch of ops::linear_forward, free again at its end.
/// @param saves  false: nothing is saved for a backward pass, and u is scratch too
/// @param y      false: what is saved is all that is wanted
void linear_forward(Replay& r, const GroupShape& g, bool saves = true, bool y = true);

/// The scratch of ops::linear_backward, free again at its end.
/// @param dx  false: nobody needs the gradient of the input
void linear_backward(Replay& r, const GroupShape& g, bool dx = true);

}  // namespace qlora
