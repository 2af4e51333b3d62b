// What a pass takes from the arena, replayed by sizes alone.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "llama/training_shape.h"

namespace qlora {

/// What memory of the arena is for.
enum class ArenaUse {
  inputs,   ///< layer inputs: the residual stream before each layer and behind the last
  kept,     ///< what else the policy keeps of all layers
  ends,     ///< the last norm's output, and the gradient of the residual stream
  again,    ///< of one layer: what the policy did not keep, computed again
  scratch,  ///< of one layer: outputs of norms and SwiGLU, and gradients
  weights,  ///< one group's weight as its product takes it, and what its adapters need beside it
  head,     ///< logits of a chunk of positions
};
/// Their number.
inline constexpr std::size_t kArenaUses = 7;

/// Bytes by use.
using ArenaBytes = std::array<std::int64_t, kArenaUses>;

/// The largest moment of a pass.
struct StepMemory {
  std::int64_t peak = 0;    ///< what Arena::peak_bytes() will say of an arena of one block
  ArenaBytes at_peak{};     ///< what it is made of
  ArenaBytes most{};        ///< the most of each use, whether at that moment or at another
  std::string_view moment;  ///< "forward", "head", "backward": when it comes
  std::int64_t pinned = 0;  ///< of the host, beside the arena: layer inputs that were moved there
};

/// The columns by which rows of an input, or of a gradient, are longer for the folded adapters: Σ R
/// of the group rounded up to 64. None without adapters, on the CPU, with DoRA, and where inputs
/// are dropped out, for then adapters are computed one by one.
std::int64_t folded_columns(const TrainingShape& shape, const GroupShape& group);

/// One forward and backward pass (llama/decoder.h: loss_backward).
StepMemory training_pass_memory(const TrainingShape& shape, const std::vector<LayerShape>& layers);

/// decode_step (llama/generation.h) of `tokens` new tokens, the whole prompt at once.
StepMemory generation_pass_memory(const TrainingShape& shape, const std::vector<LayerShape>& layers,
                                  std::int64_t tokens);

}  // namespace qlora
