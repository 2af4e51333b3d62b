// Chapter 1, task 2: calibration by percentile and by least squared error. What each function does
// stands in common/quantization/calibration.h; quantize_affine and the like are there to be called.
#include "quantization/calibration.h"

#include "core/todo.h"

namespace qlora {

Range percentile_range(std::span<const float> /*x*/, double /*percent*/) {
  todo("percentile_range", "chapter 01, task 2");
}

template <typename Int>
double squared_error(std::span<const float> /*x*/, Range /*range*/) {
  todo("squared_error", "chapter 01, task 2");
}

template <typename Int>
Range mse_range(std::span<const float> /*x*/, int /*steps*/) {
  todo("mse_range", "chapter 01, task 2");
}

// The integer types that the templates are made for; leave these lines as they are.
template double squared_error<std::uint8_t>(std::span<const float>, Range);
template double squared_error<std::int8_t>(std::span<const float>, Range);
template Range mse_range<std::uint8_t>(std::span<const float>, int);
template Range mse_range<std::int8_t>(std::span<const float>, int);

}  // namespace qlora
