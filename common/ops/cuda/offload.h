// Copies between the GPU and pinned host memory on a stream of their own.
#pragma once

#include <vector>

#include "ops/cuda/device.h"

namespace qlora::cuda {

/// See ops::HostStore.
class Offload {
 public:
  /// Slots of pinned memory, and an event for each.
  Offload(std::size_t slots, std::size_t bytes_of_a_slot);
  ~Offload();
  /// Leaves the other without events.
  Offload(Offload&& other) noexcept;
  Offload& operator=(Offload&&) = delete;
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  /// See ops::HostStore, as for the others.
  void put(std::size_t slot, const Tensor& from);
  /// See there.
  void after_put(std::size_t slot);
  /// See there.
  void fetch(std::size_t slot, const Tensor& to);
  /// See there.
  void after_fetch(std::size_t slot);

 private:
  void copy(void* to, const void* from, std::size_t bytes, cudaEvent_t done);

  std::byte* memory_ = nullptr;  // of the process
  std::size_t bytes_ = 0;        // of a slot
  cudaEvent_t before_ = nullptr;
  std::vector<cudaEvent_t> was_put_, was_fetched_;  // of each slot
};

}  // namespace qlora::cuda
