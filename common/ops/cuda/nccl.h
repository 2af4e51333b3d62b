// Sums over the GPUs of several processes, by NCCL. Built from its header alone: the library is
// looked for when a program runs, as libnccl.so.2, in the folder QLORA_NCCL where that is set.
#pragma once

#include <array>
#include <span>

#include "core/tensor.h"

namespace qlora::cuda {

/// What the processes of one communicator have in common: ncclUniqueId.
using NcclId = std::array<char, 128>;

/// A new one, of the process that hands it to the others.
/// @throws MachineLacks where NCCL is not there, with the reason
NcclId new_nccl_id();

/// This process's end.
class NcclCommunicator {
 public:
  /// Waits for all `size` processes. @throws MachineLacks likewise, and with NCCL's own reason
  NcclCommunicator(const NcclId& id, int rank, int size);
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  /// Each tensor (float32 or float64, on the device) becomes Σ over the processes of theirs, on
  /// cuda::stream(): one launch for all of them. Every process has the same bits (ncclAllReduce).
  void sum(std::span<const Tensor> tensors) const;

 private:
  void* communicator_ = nullptr;
};

}  // namespace qlora::cuda
