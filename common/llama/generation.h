// Text from the decoder, one token at a time, with a key-value cache.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "llama/model.h"
#include "llama/sampling.h"

namespace qlora {

/// Keys (after RoPE) and values of every layer for one sequence.
struct KeyValueCache {
  /// On the model's device. @param capacity  positions that there is room for
  KeyValueCache(const LlamaModel& model, std::int64_t capacity);

  std::vector<Tensor> keys;    ///< L tensors of (1, capacity, K·D)
  std::vector<Tensor> values;  ///< likewise
  std::int64_t length = 0;     ///< positions in use
};

/// Runs new tokens (at least one) through the decoder behind what the cache holds, and returns the
/// logits (1,V) that follow the last of them, taken from the arena. Model, cache and arena lie on
/// one device.
/// @throws std::invalid_argument on an id that is not below V, and if the cache or the rotary
///         tables are too short
Tensor decode_step(const LlamaModel& model, std::span<const std::int32_t> ids, KeyValueCache& cache,
                   Arena& arena);

/// Generates up to max_new_tokens ids after the prompt, ends at any of the model's eos tokens
/// (which is returned too), and calls on_token for each. The arena lies on the model's device. On a
/// GPU the work of a token is recorded once and replayed for every other one; greedy choices are
/// made there, a few tokens ahead of what on_token has got.
/// @throws BadInput if prompt and answer exceed max_position_embeddings, or the prompt is empty
std::vector<std::int32_t> generate(LlamaModel& model, std::span<const std::int32_t> prompt,
                                   std::int64_t max_new_tokens, const Sampling& sampling,
                                   Arena& arena,
                                   const std::function<void(std::int32_t)>& on_token = {});

/// The same behind what a cache holds: the prompt are the tokens after that. When it returns the
/// cache holds the prompt and all generated ids but the last, which the model has not seen.
/// @throws BadInput as above, std::invalid_argument if the cache has no room for the prompt and
///         max_new_tokens
std::vector<std::int32_t> generate(LlamaModel& model, std::span<const std::int32_t> prompt,
                                   std::int64_t max_new_tokens, const Sampling& sampling,
                                   KeyValueCache& cache, Arena& arena,
                                   const std::function<void(std::int32_t)>& on_token = {});

}  // namespace qlora
