// Quantization-aware training of a decoder: which of its linear layers passes see quantized.
#pragma once

#include "llama/model.h"
#include "lora/config.h"

namespace qlora {

/// From here on every pass sees the weights of these linear layers quantized in the format and
/// restored; the weights themselves stay, and are what full training changes. Embedding, norms and
/// head are left alone, as bitsandbytes leaves them.
/// @param modules  as LoraConfig::target_modules names them; "all-linear": every one
/// @throws UsageError if none matches, std::invalid_argument if one has no dense weight
void fake_quantize(LlamaModel& model, const FakeFormat& format,
                   const NamesOrPattern& modules = std::string("all-linear"));

/// The weights become what passes have seen, and are seen as they are from here on: what
/// quantization-aware training hands on, and post-training quantization where the format was set
/// after training.
void round_to_fake_formats(LlamaModel& model);

}  // namespace qlora
