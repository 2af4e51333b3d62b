// What chapter 15 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter15 {

/// Prints the lesson: one block of weights and its gradients, the network in few bits, what QAT
/// costs. @return the same figures
Json tell();

}  // namespace qlora::chapter15
