// Memory that is used again and again: activations and scratch of a training step.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/tensor.h"

namespace qlora {

/// A bump allocator. Tensors taken since a mark become free together when it is released; their
/// memory stays with the arena, so that from the second step on nothing is allocated.
class Arena {
 public:
  /// How far the arena is used.
  struct Mark {
    std::size_t block = 0;   ///< the block in use
    std::size_t offset = 0;  ///< bytes used of it
  };

  /// Makes the memory of a block, and sets a tensor's bytes to zero.
  using Allocate = std::function<Tensor(DType, Shape)>;
  using Zero = std::function<void(const Tensor&)>;

  /// On the host, or wherever `allocate` makes memory.
  Arena() : Arena(Device::cpu, Tensor::empty, [](const Tensor& t) { t.zero(); }) {}
  Arena(Device device, Allocate allocate, Zero zero)
      : device_(device), allocate_(std::move(allocate)), zero_(std::move(zero)) {}

  /// Where its memory lies.
  Device device() const { return device_; }

  /// Uninitialised memory, aligned to 64 bytes (on a GPU to 256), valid until a mark set before it
  /// is released.
  Tensor take(DType dtype, Shape shape);
  Tensor take_zeros(DType dtype, Shape shape);
  /// The elements of such a tensor.
  template <typename T>
  T* values(Shape shape) {
    return take(dtype_of<T>(), std::move(shape)).template data<T>();
  }

  /// One block of so many bytes, before anything is taken: an arena that is planned grows by little
  /// beyond it, and not by as much again as there is.
  void reserve(std::size_t bytes);
  /// All memory that it holds, in use or not.
  std::size_t held_bytes() const;

  /// What is taken after mark() is free again after release() of that mark.
  Mark mark() const { return at_; }
  void release(Mark mark) { at_ = mark; }
  /// The largest number of bytes that were in use at once.
  std::size_t peak_bytes() const { return peak_; }

 private:
  struct Block {
    Tensor memory;           // U8
    std::size_t before = 0;  // bytes of all earlier blocks
  };
  Device device_;
  Allocate allocate_;
  Zero zero_;
  std::vector<Block> blocks_;
  Mark at_;
  std::size_t peak_ = 0;
  bool planned_ = false;
};

/// Releases, at the end of the scope, what was taken within it.
class ArenaScope {
 public:
  /// The arena outlives the scope.
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace qlora
