#include "cuda/twin.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/random.h"

namespace qlora::testing {
namespace {

// One seed a process, printed once, so that a failure can be looked at again: QLORA_SEED sets it.
std::uint64_t seed() {
  static const std::uint64_t chosen = [] {
    const char* given = std::getenv("QLORA_SEED");
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 10)
                                             : static_cast<std::uint64_t>(now) % 1'000'000'007u;
    std::printf("random inputs: QLORA_SEED=%llu\n", static_cast<unsigned long long>(s));
    return s;
  }();
  return chosen;
}

}  // namespace

bool is_slow() {
  const char* sizes = std::getenv("QLORA_TEST_SIZES");
  return sizes != nullptr && std::strcmp(sizes, "small") == 0;
}

double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return 0x1p-8;
    case DType::f16:
      return 0x1p-11;
    default:
      return 0x1p-24;
  }
}

double smallest_rounding(DType dtype) {
  return dtype == DType::f16 ? 0x1p-25 : 0.0;
}

double largest(const Tensor& tensor) {
  double most = 0;
  for (const float x : tensor.span<float>()) most = std::max(most, std::abs(double{x}));
  return most;
}

Tensor random_tensor(DType dtype, Shape shape, std::uint64_t stream, float scale) {
  Tensor t = Tensor::empty(DType::f32, std::move(shape));
  const Random random{seed(), stream};
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<float>()[i] = scale * random.normal(static_cast<std::uint64_t>(i));
  }
  return t.to(dtype);
}

Tensor poisoned(DType dtype, Shape shape) {
  Tensor t = ops::empty_on(Device::cuda, dtype, std::move(shape));
  ops::fill_bytes(t, 0xff);
  return t;
}

Tensor to_gpu(const Tensor& tensor) {
  return ops::on(Device::cuda, tensor);
}

Tensor with_room(const Tensor& matrix, std::int64_t room) {
  const std::int64_t rows = matrix.dim(0), C = matrix.dim(1);
  const Tensor wide = Tensor::empty(matrix.dtype(), {rows, C + room});
  std::memset(wide.raw(), 0xff, wide.nbytes());
  for (std::int64_t i = 0; i < rows; ++i) {
    ops::copy(matrix.rows(i, i + 1),
              wide.reshape({rows * (C + room)}).rows(i * (C + room), i * (C + room) + C));
  }
  return to_gpu(wide);
}

Tensor to_host(const Tensor& tensor) {
  const Tensor host = ops::on(Device::cpu, tensor);
  return is_floating(host.dtype()) ? host.to(DType::f32) : host;
}

Tensor widened(const Tensor& tensor) {
  return tensor.to(DType::f32).clone();
}

namespace {

Tensor first_columns(const Tensor& matrix, std::int64_t C) {
  const Tensor narrow = Tensor::empty(DType::f32, {matrix.dim(0), C});
  for (std::int64_t i = 0; i < matrix.dim(0); ++i) {
    std::copy_n(matrix.data<float>() + i * matrix.dim(1), C, narrow.data<float>() + i * C);
  }
  return narrow;
}

}  // namespace

::testing::AssertionResult near_twin(const Tensor& ours, const Tensor& theirs, double relative,
                                     double absolute) {
  Tensor host = to_host(ours);
  if (host.rank() == 2 && theirs.rank() == 2 && host.dim(1) > theirs.dim(1)) {
    host = first_columns(host, theirs.dim(1));
  }
  if (host.shape() != theirs.shape()) {
    return ::testing::AssertionFailure()
           << "shapes " << to_string(host.shape()) << " and " << to_string(theirs.shape());
  }
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const double a = host.data<float>()[i], b = theirs.data<float>()[i];
    const double bound = absolute + relative * std::abs(b);
    if (std::abs(a - b) <= bound) continue;
    return ::testing::AssertionFailure()
           << "element " << i << " of " << to_string(host.shape()) << " is " << a
           << " on the GPU and " << b << " on the CPU, which differ by more than " << bound;
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult same_on_gpu(const Tensor& a, const Tensor& b) {
  const Tensor x = ops::on(Device::cpu, a), y = ops::on(Device::cpu, b);
  if (x.nbytes() == y.nbytes() && std::memcmp(x.raw(), y.raw(), x.nbytes()) == 0) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "the bytes differ";
}

}  // namespace qlora::testing
