// Batches of the golden files, and models run on them.
#pragma once

#include <string>

#include "checkpoint/safetensors.h"
#include "llama/model.h"
#include "text/batch.h"

namespace qlora::testing {

/// I64 ids as I32.
Tensor narrowed(const Tensor& ids);

/// A batch from ids, mask and labels (B,T) I64; without a mask every position counts.
Batch batch_from(const Tensor& ids, const Tensor& mask, const Tensor& labels);

/// The batch under a prefix of a golden file ("batch.", "long.", "").
Batch batch_of(const SafetensorsFile& file, const std::string& prefix);

/// x (B,T,…) in float32 with zeros where the mask (B,T) hides a position, for what stands there
/// means nothing: it is made equal on both sides of a comparison.
Tensor without_padding(const Tensor& x, const Tensor& mask);

/// A golden model with a golden adapter on it, ready for the golden batches' lengths.
LlamaModel model_with(const std::string& base, const std::string& adapter);

/// Logits (B,T,V), without padding.
Tensor logits_of(const LlamaModel& model, const Batch& batch);

}  // namespace qlora::testing
