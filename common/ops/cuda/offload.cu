#include <utility>

#include "ops/cuda/offload.h"

namespace qlora::cuda {
namespace {

constexpr const char* kOp = "offload";

// The stream of the copies, made once.
cudaStream_t copies() {
  static const cudaStream_t made = [] {
    stream();  // a device that is not there says so
    cudaStream_t one = nullptr;
    check(cudaStreamCreateWithFlags(&one, cudaStreamNonBlocking), kOp);
    return one;
  }();
  return made;
}

// Pinning takes longer than a training step, so that the memory stays with the process.
std::byte* pinned(std::size_t bytes) {
  static std::byte* memory = nullptr;
  static std::size_t size = 0;
  if (bytes <= size) return memory;
  synchronize();
  check(cudaStreamSynchronize(copies()), kOp);
  if (memory != nullptr) check(cudaFreeHost(memory), kOp);
  memory = nullptr;
  size = 0;
  void* made = nullptr;
  if (cudaMallocHost(&made, bytes) != cudaSuccess) {
    cudaGetLastError();  // the next launch is not to blame
    throw MachineLacks("--activations offload: " + std::to_string(bytes >> 20) +
                       " MiB of the host's memory cannot be pinned; checkpoint needs none");
  }
  memory = static_cast<std::byte*>(made);
  size = bytes;
  return memory;
}

cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), kOp);
  return event;
}

}  // namespace

Offload::Offload(std::size_t slots, std::size_t bytes_of_a_slot)
    : memory_(pinned(slots * bytes_of_a_slot)), bytes_(bytes_of_a_slot), before_(new_event()) {
  for (std::size_t i = 0; i < slots; ++i) {
    was_put_.push_back(new_event());
    was_fetched_.push_back(new_event());
  }
}

Offload::Offload(Offload&& other) noexcept
    : memory_(other.memory_),
      bytes_(other.bytes_),
      before_(std::exchange(other.before_, nullptr)),
      was_put_(std::exchange(other.was_put_, {})),
      was_fetched_(std::exchange(other.was_fetched_, {})) {}

Offload::~Offload() {
  if (before_ != nullptr) cudaEventDestroy(before_);
  for (cudaEvent_t event : was_put_) cudaEventDestroy(event);
  for (cudaEvent_t event : was_fetched_) cudaEventDestroy(event);
}

void Offload::copy(void* to, const void* from, std::size_t bytes, cudaEvent_t done) {
  check(cudaEventRecord(before_, stream()), kOp);
  check(cudaStreamWaitEvent(copies(), before_), kOp);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, copies()), kOp);
  check(cudaEventRecord(done, copies()), kOp);
}

void Offload::put(std::size_t slot, const Tensor& from) {
  require(from.nbytes() <= bytes_, kOp, "a tensor that the slot has room for");
  copy(memory_ + slot * bytes_, from.raw(), from.nbytes(), was_put_.at(slot));
}

void Offload::after_put(std::size_t slot) {
  check(cudaStreamWaitEvent(stream(), was_put_.at(slot)), kOp);
}

void Offload::fetch(std::size_t slot, const Tensor& to) {
  require(to.nbytes() <= bytes_, kOp, "a tensor of the slot's size");
  copy(to.raw(), memory_ + slot * bytes_, to.nbytes(), was_fetched_.at(slot));
}

void Offload::after_fetch(std::size_t slot) {
  check(cudaStreamWaitEvent(stream(), was_fetched_.at(slot)), kOp);
}

}  // namespace qlora::cuda
