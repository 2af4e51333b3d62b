#include "ops/recording.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/graph.h"

namespace qlora::ops {

Recording::Recording(const std::function<void()>& work)
    : graph_(std::make_shared<const cuda::Graph>(work)) {}

void Recording::replay() const {
  graph_->launch();
}

Readback::Readback(std::size_t ahead) : numbers_(std::make_shared<cuda::Readback>(ahead)) {}

void Readback::post(const Tensor& number) {
  numbers_->post(number);
}

std::int32_t Readback::take() {
  return numbers_->take();
}

}  // namespace qlora::ops

#else

namespace qlora::ops {
namespace {

[[noreturn]] void no_cuda() {
  throw MachineLacks("this build has no CUDA back end");
}

}  // namespace

Recording::Recording(const std::function<void()>&) {
  no_cuda();
}

void Recording::replay() const {
  no_cuda();
}

Readback::Readback(std::size_t) {
  no_cuda();
}

void Readback::post(const Tensor&) {
  no_cuda();
}

std::int32_t Readback::take() {
  no_cuda();
}

}  // namespace qlora::ops
#endif
