#include "ops/cuda/graph.h"

#include <exception>

#include "ops/cuda/device.h"

namespace qlora::cuda {

Graph::Graph(const std::function<void()>& work) {
  constexpr const char* op = "recording";
  // Relaxed: memory may be allocated meanwhile, by an arena that grows.
  check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), op);
  cudaGraph_t graph = nullptr;
  std::exception_ptr problem;
  try {
    work();
  } catch (...) {
    problem = std::current_exception();
  }
  const cudaError_t ended = cudaStreamEndCapture(stream(), &graph);
  if (problem == nullptr && ended == cudaSuccess) {
    const cudaError_t made = cudaGraphInstantiate(&ready_, graph, 0);
    cudaGraphDestroy(graph);
    check(made, op);
    return;
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (problem != nullptr) std::rethrow_exception(problem);
  check(ended, op);
}

Graph::~Graph() {
  cudaGraphExecDestroy(ready_);
}

void Graph::launch() const {
  check(cudaGraphLaunch(ready_, stream()), "replay");
}

Readback::Readback(std::size_t ahead) : events_(ahead, nullptr) {
  check(cudaMallocHost(&numbers_, ahead * sizeof(std::int32_t)), "readback");
  for (cudaEvent_t& event : events_) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "readback");
  }
}

Readback::~Readback() {
  cudaStreamSynchronize(stream());  // copies may be under way
  for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  cudaFreeHost(numbers_);
}

void Readback::post(const Tensor& number) {
  require(number.numel() == 1 && number.dtype() == DType::i32, "Readback", "one number I32");
  require(posted_ - taken_ < events_.size(), "Readback",
          "no more numbers under way than asked for");
  const std::size_t slot = posted_++ % events_.size();
  check(cudaMemcpyAsync(numbers_ + slot, number.raw(), sizeof(std::int32_t), cudaMemcpyDeviceToHost,
                        stream()),
        "readback");
  check(cudaEventRecord(events_[slot], stream()), "readback");
}

std::int32_t Readback::take() {
  require(taken_ < posted_, "Readback", "a number that was posted");
  const std::size_t slot = taken_++ % events_.size();
  check(cudaEventSynchronize(events_[slot]), "the GPU");
  return numbers_[slot];
}

}  // namespace qlora::cuda
