// Tensors of a GPU in the host's memory while nobody needs them, copied beside the computation.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace qlora::ops {

/// Slots of pinned host memory, which outlives this: the next store of the process takes it again.
/// Copies run in an order of their own, beside the work that the GPU is given; only what is said
/// here waits for what, and never the host.
class HostStore {
 public:
  /// @throws MachineLacks without the CUDA back end, or where the host's memory is short
  HostStore(std::size_t slots, std::size_t bytes_of_a_slot);
  ~HostStore();
  HostStore(const HostStore&) = delete;
  HostStore& operator=(const HostStore&) = delete;

  /// Begins to copy a tensor of the GPU into a slot, behind all work that the GPU has been given.
  void put(std::size_t slot, const Tensor& from);
  /// Work from here on may overwrite what put() copies: it begins behind the copy.
  void after_put(std::size_t slot);
  /// Begins to copy a slot back, behind all work that the GPU has been given, and behind its put().
  void fetch(std::size_t slot, const Tensor& to);
  /// Work from here on sees what fetch() copies.
  void after_fetch(std::size_t slot);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qlora::ops
