#include "ops/host_store.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/offload.h"
#endif

namespace qlora::ops {

#if QLORA_HAS_CUDA

struct HostStore::State {
  cuda::Offload copies;
};

HostStore::HostStore(std::size_t slots, std::size_t bytes_of_a_slot)
    : state_(new State{cuda::Offload(slots, bytes_of_a_slot)}) {}
HostStore::~HostStore() = default;
void HostStore::put(std::size_t slot, const Tensor& from) {
  state_->copies.put(slot, from);
}
void HostStore::after_put(std::size_t slot) {
  state_->copies.after_put(slot);
}
void HostStore::fetch(std::size_t slot, const Tensor& to) {
  state_->copies.fetch(slot, to);
}
void HostStore::after_fetch(std::size_t slot) {
  state_->copies.after_fetch(slot);
}

#else

struct HostStore::State {};

HostStore::HostStore(std::size_t /*slots*/, std::size_t /*bytes_of_a_slot*/) {
  throw MachineLacks("this build has no CUDA back end, and nothing to offload from");
}
HostStore::~HostStore() = default;
void HostStore::put(std::size_t /*slot*/, const Tensor& /*from*/) {}
void HostStore::after_put(std::size_t /*slot*/) {}
void HostStore::fetch(std::size_t /*slot*/, const Tensor& /*to*/) {}
void HostStore::after_fetch(std::size_t /*slot*/) {}

#endif

}  // namespace qlora::ops
