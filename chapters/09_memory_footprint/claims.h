// What the course says about memory, and what its own inputs come to.
#pragma once

#include <cstdint>

#include "course/ledger.h"
#include "quantization/footprint.h"

namespace qlora::chapter09 {

/// The course's inputs.
struct CourseInputs {
  DecoderSizes sizes = kLlama32_3b;     ///< the base model
  std::int64_t loaded_bytes = 4;        ///< a weight as from_pretrained loads it: float32
  std::int64_t other_bytes = 2;         ///< of what is not quantized beside quantized layers
  BlockSizes blocks{64, true, 256};     ///< of NF4 with double quantization
  std::int64_t rank = 32;               ///< of the lite adapters on q, k, v and o
  std::int64_t adapter_bytes = 4;       ///< an adapter's parameter: float32
  std::int64_t trained_bytes = 16;      ///< with its gradient and two moments
  std::int64_t card_mebibytes = 15360;  ///< what Colab shows of a T4
};

/// The footprint as transformers counts it, and what is resident: bytes.
struct Footprint {
  std::int64_t reported = 0;  ///< get_memory_footprint: parameters and buffers
  std::int64_t scales = 0;    ///< what it leaves out: block maxima, or maxima of rows
};

/// Every weight in `bytes` bytes.
Footprint dense_footprint(const DecoderSizes& sizes, std::int64_t bytes);
/// The linear layers in int8 with a maximum a row, the rest in `other_bytes`.
Footprint int8_footprint(const DecoderSizes& sizes, std::int64_t other_bytes);
/// The linear layers in NF4, the rest in `other_bytes`.
Footprint nf4_footprint(const DecoderSizes& sizes, const BlockSizes& blocks,
                        std::int64_t other_bytes);
/// Parameters of adapters of rank R on q, k, v and o.
std::int64_t attention_adapters(const DecoderSizes& sizes, std::int64_t R);

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter09
