// Work that is recorded once and launched as a whole, and numbers that the host reads on the way.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace qlora::cuda {

/// See ops::Recording.
class Graph {
 public:
  /// Records the work.
  explicit Graph(const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Puts all of it on the stream.
  void launch() const;

 private:
  cudaGraphExec_t ready_ = nullptr;
};

/// See ops::Readback.
class Readback {
 public:
  /// As ops::Readback has it, as are the others.
  explicit Readback(std::size_t ahead);
  ~Readback();
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  /// See there.
  void post(const Tensor& number);
  /// See there.
  std::int32_t take();

 private:
  std::int32_t* numbers_ = nullptr;  // memory that the GPU writes by itself, one for each event
  std::vector<cudaEvent_t> events_;
  std::size_t posted_ = 0, taken_ = 0;
};

}  // namespace qlora::cuda
