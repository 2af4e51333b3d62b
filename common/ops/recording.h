// A GPU that works without its host: what it is to do is recorded once, and what it finds is read
// while it goes on.
#pragma once

#include <functional>
#include <memory>

#include "core/tensor.h"

namespace qlora {

namespace cuda {
class Graph;
class Readback;
}  // namespace cuda

namespace ops {

/// Work for a GPU, recorded once and done again with one call: the same ops on the same memory. The
/// ops neither wait for the GPU nor copy from or to the host, and their memory stays until the GPU
/// is done with the last replay. What changes from one time to the next stands in that memory.
class Recording {
 public:
  /// Calls `work`, whose ops on the GPU are recorded and not run. They have been run before: what
  /// is made at an op's first call is there.
  /// @throws MachineLacks where there is no GPU, and what `work` throws
  explicit Recording(const std::function<void()>& work);
  /// Puts the work on the GPU, behind all that it was given before.
  void replay() const;

 private:
  std::shared_ptr<const cuda::Graph> graph_;
};

/// Numbers that a GPU makes one after the other, for a host that reads each when it is there and
/// lets the GPU go on meanwhile.
class Readback {
 public:
  /// @param ahead  numbers that may be under way at once
  explicit Readback(std::size_t ahead);
  /// Asks for what `number` (1) I32 is once the GPU has done all that it was given so far.
  void post(const Tensor& number);
  /// Waits for the oldest number that was posted and not taken.
  /// @throws Error if the GPU failed
  std::int32_t take();

 private:
  std::shared_ptr<cuda::Readback> numbers_;
};

}  // namespace ops
}  // namespace qlora
