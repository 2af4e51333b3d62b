#include "core/tensor.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace qlora {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

// Calls f with a zero of the floating-point type that the dtype stands for.
template <typename F>
void with_float_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::f16:
      return f(Half{});
    case DType::bf16:
      return f(BFloat16{});
    default:
      throw std::invalid_argument("Tensor::to requires floating-point dtypes");
  }
}

// A float32 on the way to 16 bits: rounded to odd, so that the second rounding is right as if it
// were the only one (Boldo and Melquiond, "When double rounding is odd", 2005).
float to_float_odd(double x) {
  const auto nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || std::isnan(x)) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(x)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1u);
}

template <typename To, typename From>
To convert(From x) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return convert<To>(to_float(x));
  } else if constexpr (std::is_same_v<To, Half>) {
    return to_half(to_float_odd(x));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(to_float_odd(x));
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::int64_t numel_of(const Shape& shape) {
  std::int64_t n = 1;
  for (std::int64_t d : shape) {
    require(d >= 0, "numel_of", "dimensions of at least zero");
    if (__builtin_mul_overflow(n, d, &n)) {
      throw std::overflow_error("a tensor of shape " + to_string(shape) + " has too many elements");
    }
  }
  return n;
}

Tensor Tensor::empty(DType dtype, Shape shape) {
  const std::int64_t n = numel_of(shape);
  if (n > std::numeric_limits<std::int64_t>::max() / 16) throw std::bad_alloc();
  const std::size_t bytes = static_cast<std::size_t>(n) * size_of(dtype);
  const std::size_t padded = (bytes + kAlignment) / kAlignment * kAlignment;  // never zero
  void* memory = std::aligned_alloc(kAlignment, padded);
  if (memory == nullptr) throw std::bad_alloc();
  return view(dtype, std::move(shape), memory, std::shared_ptr<void>(memory, std::free));
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor t = empty(dtype, std::move(shape));
  t.zero();
  return t;
}

Tensor Tensor::view(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner,
                    Device device) {
  Tensor t;
  t.dtype_ = dtype;
  t.device_ = device;
  t.numel_ = numel_of(shape);
  t.shape_ = std::move(shape);
  t.data_ = data;
  t.owner_ = std::move(owner);
  return t;
}

std::int64_t Tensor::dim(std::int64_t i) const {
  if (i < 0) i += rank();
  require(i >= 0 && i < rank(), "Tensor::dim", "a dimension that the tensor has");
  return shape_[static_cast<std::size_t>(i)];
}

Tensor Tensor::reshape(Shape shape) const {
  require(numel_of(shape) == numel_, "Tensor::reshape", "as many elements as before");
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  require(rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "Tensor::rows",
          "rows that the tensor has");
  Tensor t = *this;
  t.shape_[0] = end - begin;
  t.numel_ = numel_of(t.shape_);
  const std::int64_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  t.data_ = static_cast<char*>(data_) + static_cast<std::size_t>(begin * row) * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  require(device_ == Device::cpu, "Tensor::clone", "host memory");
  Tensor t = empty(dtype_, shape_);
  if (numel_ > 0) std::memcpy(t.data_, data_, nbytes());
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  require(device_ == Device::cpu, "Tensor::to", "host memory");
  Tensor out = empty(dtype, shape_);
  with_float_type(dtype_, [&]<typename From>(From) {
    with_float_type(dtype, [&]<typename To>(To) {
      const From* x = data<From>();
      To* y = out.data<To>();
      for (std::int64_t i = 0; i < numel_; ++i) y[i] = convert<To>(x[i]);
    });
  });
  return out;
}

void Tensor::zero() const {
  require(device_ == Device::cpu, "Tensor::zero", "host memory");
  if (numel_ > 0) std::memset(data_, 0, nbytes());
}

}  // namespace qlora
