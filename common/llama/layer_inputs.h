// The residual stream before each layer, from the forward pass to the backward pass.
#pragma once

#include <optional>
#include <vector>

#include "llama/activation_policy.h"
#include "llama/model.h"
#include "ops/host_store.h"

namespace qlora {

/// Inputs of layers 0 … L-1, and the last layer's output as input L. All stay in the arena;
/// offloaded on a GPU, three of them do, and the others wait in the host's memory: input l leaves
/// while layer l computes, and comes back while layer l+2 is gone through backwards.
class LayerInputs {
 public:
  /// Takes memory for `rows` rows.
  LayerInputs(const LlamaModel& model, std::int64_t rows, ActivationPolicy policy, Arena& arena);

  /// Forward, in the order of the layers: the input of layer l, which begins to leave, and where
  /// its output goes.
  const Tensor& leaving(std::size_t l);
  const Tensor& output(std::size_t l);
  /// Backward, from L-1 down: the input of layer l, which is there again.
  const Tensor& returned(std::size_t l);

  /// Input l while it is there.
  const Tensor& at(std::size_t l) const { return buffers_[l % buffers_.size()]; }

 private:
  static constexpr std::size_t kOnDevice = 3;  // in use, coming, going

  std::size_t layers_;
  std::vector<Tensor> buffers_;
  std::optional<ops::HostStore> store_;
};

}  // namespace qlora
