// A dense, row-major tensor: dtype, shape, and memory on the host or on a device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"

namespace qlora {

/// Dimensions, the slowest first. No dimension is a scalar.
using Shape = std::vector<std::int64_t>;

/// "[2, 3]"
std::string to_string(const Shape& shape);

/// Product of the dimensions, 1 for a scalar.
/// @throws std::overflow_error if it does not fit, std::invalid_argument on a negative dimension
std::int64_t numel_of(const Shape& shape);

/// Where a tensor's memory is.
enum class Device { cpu, cuda };

/// Copies share memory, as in torch; clone() does not. An empty tensor (no memory) is false.
class Tensor {
 public:
  Tensor() = default;

  /// Uninitialised, or zero, host memory, aligned to 64 bytes.
  static Tensor empty(DType dtype, Shape shape);
  static Tensor zeros(DType dtype, Shape shape);

  /// Memory that somebody else owns (a mapped file, a device arena); `owner` keeps it alive.
  static Tensor view(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner,
                     Device device = Device::cpu);

  /// A copy of the values. @throws std::invalid_argument if values.size() is not numel(shape)
  template <typename T>
  static Tensor from(std::span<const T> values, Shape shape) {
    Tensor t = empty(dtype_of<T>(), std::move(shape));
    require(static_cast<std::int64_t>(values.size()) == t.numel(), "Tensor::from",
            "as many values as the shape has elements");
    std::copy(values.begin(), values.end(), t.data<T>());
    return t;
  }

  /// Whether there is memory; then what is in it, where it is, and how it is laid out.
  explicit operator bool() const { return data_ != nullptr; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  const Shape& shape() const { return shape_; }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape_.size()); }
  /// Dimension i; a negative i counts from the end.
  std::int64_t dim(std::int64_t i) const;
  std::int64_t numel() const { return numel_; }
  std::size_t nbytes() const { return static_cast<std::size_t>(numel_) * size_of(dtype_); }

  /// The elements. @throws std::invalid_argument if T is not the dtype
  template <typename T>
  T* data() const {
    require(dtype_of<T>() == dtype_, "Tensor::data", "the tensor's own dtype");
    return static_cast<T*>(data_);
  }
  template <typename T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel_)};
  }
  void* raw() const { return data_; }

  /// The same memory under another shape of as many elements.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, end) of the first dimension, sharing memory.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  /// A copy on the host (of a host tensor).
  Tensor clone() const;
  /// A copy in another floating-point dtype, rounded once to nearest even; itself if equal.
  Tensor to(DType dtype) const;
  /// All bytes zero (host memory).
  void zero() const;

 private:
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
  Shape shape_;
  std::int64_t numel_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

}  // namespace qlora
