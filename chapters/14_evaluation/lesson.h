// What can be said of the price task before any model is asked.
#pragma once

#include "core/json.h"

namespace qlora {

/// Prints the trivial predictors and the noise floor on the embedded test items.
/// @return the same figures, as report.json has them
Json print_yardsticks();

}  // namespace qlora
