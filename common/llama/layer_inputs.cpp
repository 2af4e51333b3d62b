#include "llama/layer_inputs.h"

#include <algorithm>

namespace qlora {

LayerInputs::LayerInputs(const LlamaModel& model, std::int64_t rows, ActivationPolicy policy,
                         Arena& arena)
    : layers_(model.layers.size()) {
  const bool offloads = policy == ActivationPolicy::offload && model.device() != Device::cpu;
  const std::size_t count = offloads ? std::min(kOnDevice, layers_ + 1) : layers_ + 1;
  for (std::size_t i = 0; i < count; ++i) {
    buffers_.push_back(arena.take(model.arithmetic(), {rows, model.config.hidden_size}));
  }
  if (offloads) store_.emplace(layers_, buffers_[0].nbytes());
}

const Tensor& LayerInputs::leaving(std::size_t l) {
  if (store_) store_->put(l, at(l));
  return at(l);
}

const Tensor& LayerInputs::output(std::size_t l) {
  // its memory held input l-2
  if (store_ && l + 1 >= kOnDevice) store_->after_put(l + 1 - kOnDevice);
  return at(l + 1);
}

const Tensor& LayerInputs::returned(std::size_t l) {
  // The last inputs never went. Input l-2 comes where l+1 was, which nobody reads any more.
  if (store_ && l + kOnDevice <= layers_) store_->after_fetch(l);
  if (store_ && l + 1 >= kOnDevice) store_->fetch(l + 1 - kOnDevice, at(l + 1 - kOnDevice));
  return at(l);
}

}  // namespace qlora
