#include "quantization/straight_through.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quantization/fake_quantization.h"
#include "quantization/nf4.h"

namespace qlora {
namespace {

// Calls f with the first index and the number of values of each block of a weight of n values.
template <typename F>
void for_each_block(const FakeFormat& format, std::int64_t columns, std::size_t n, F&& f) {
  const auto size =
      static_cast<std::size_t>(format.values_a_range(columns, static_cast<std::int64_t>(n)));
  for (std::size_t begin = 0; begin < n; begin += size) f(begin, std::min(size, n - begin));
}

// r = clip · max |w|
template <typename T>
T range_of(const FakeFormat& format, std::span<const T> block) {
  T largest = 0;
  for (const T w : block) largest = std::max(largest, std::abs(w));
  return static_cast<T>(format.clip) * largest;
}

template <typename T>
void to_nf4(std::span<const T> w, T range, std::span<T> w_q) {
  const T reciprocal = T{1} / range;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const T scaled = w[i] * reciprocal;
    std::size_t code = 0;  // how many thresholds the value is above
    for (const float threshold : kNf4Thresholds) code += scaled > static_cast<T>(threshold);
    w_q[i] = static_cast<T>(kNf4Code[code]) * range;
  }
}

}  // namespace

template <typename T>
void fake_quantize(const FakeFormat& format, std::int64_t columns, std::span<const T> w,
                   std::span<T> w_q) {
  require(w.size() == w_q.size(), "fake_quantize", "as many results as weights");
  for_each_block(format, columns, w.size(), [&](std::size_t begin, std::size_t count) {
    const std::span<const T> block = w.subspan(begin, count);
    const T range = range_of(format, block);
    if (format.levels == FakeLevels::nf4) {
      to_nf4(block, range, w_q.subspan(begin, count));
    } else {
      fake_quantize_range(block, format.bits, range, w_q.subspan(begin, count));
    }
  });
}

template <typename T>
void fake_quantize_backward(const FakeFormat& format, std::int64_t columns, std::span<const T> w,
                            std::span<const T> dw_q, std::span<T> dw) {
  require(w.size() == dw_q.size() && w.size() == dw.size(), "fake_quantize_backward",
          "a gradient for every weight");
  for_each_block(format, columns, w.size(), [&](std::size_t begin, std::size_t count) {
    const T range = range_of(format, w.subspan(begin, count));
    for (std::size_t i = begin; i < begin + count; ++i) {
      if (std::abs(w[i]) <= range) dw[i] += dw_q[i];
    }
  });
}

template void fake_quantize<float>(const FakeFormat&, std::int64_t, std::span<const float>,
                                   std::span<float>);
template void fake_quantize<double>(const FakeFormat&, std::int64_t, std::span<const double>,
                                    std::span<double>);
template void fake_quantize_backward<float>(const FakeFormat&, std::int64_t, std::span<const float>,
                                            std::span<const float>, std::span<float>);
template void fake_quantize_backward<double>(const FakeFormat&, std::int64_t,
                                             std::span<const double>, std::span<const double>,
                                             std::span<double>);

}  // namespace qlora
