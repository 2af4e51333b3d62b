// Where NCCL's header was not found when this was built.
#include "core/error.h"
#include "ops/cuda/nccl.h"

namespace qlora::cuda {
namespace {

[[noreturn]] void missing() {
  throw MachineLacks("several GPUs need NCCL, and this was built without its header, nccl.h");
}

}  // namespace

NcclId new_nccl_id() {
  missing();
}

NcclCommunicator::NcclCommunicator(const NcclId& /*id*/, int /*rank*/, int /*size*/) {
  missing();
}

NcclCommunicator::~NcclCommunicator() = default;

void NcclCommunicator::sum(std::span<const Tensor> /*tensors*/) const {}

}  // namespace qlora::cuda
