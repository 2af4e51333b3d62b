// Copies between the GPU and pinned host memory on a stream of their own.
#pragma once

#include <vector>

#include "ops/cuda/device.h"

namespace qlora::cuda {

/// See ops::HostStore.
class Offload {
 public:
  Offload(std::size_t slots, std::size_t bytes_of_a_slot);
  ~Offload();
  Offload(Offload&& other) noexcept;
  Offload& operator=(Offload&&) = delete;
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  void put(std::size_t slot, const Tensor& from);
  void after_put(std::size_t slot);
  void fetch(std::size_t slot, const Tensor& to);
  void after_fetch(std::size_t slot);

 private:
  void copy(void* to, const void* from, std::size_t bytes, cudaEvent_t done);

  std::byte* memory_ = nullptr;  // of the process
  std::size_t bytes_ = 0;        // of a slot
  cudaEvent_t before_ = nullptr;
  std::vector<cudaEvent_t> was_put_, was_fetched_;  // of each slot
};

}  // namespace qlora::cuda
