// What can be said of the price task before any model is asked.
#pragma once

namespace qlora {

/// Prints the trivial predictors and the noise floor on the embedded test items.
void print_yardsticks();

}  // namespace qlora
