// What the course says about full fine-tuning, and what its own inputs come to.
#pragma once

#include <cstdint>

#include "course/ledger.h"
#include "quantization/footprint.h"
#include "training/sharding.h"

namespace qlora::chapter17 {

/// The course's inputs.
struct CourseInputs {
  DecoderSizes sizes = kLlama32_3b;  ///< the model of documents 001 and 003
  DecoderSizes other{4096, 4096, 4096, 11008, 32, 32000, false};  ///< of document 004: Llama 2 7B
  std::int64_t largest = 175'000'000'000;  ///< parameters of its largest example, GPT-3
  StateBytes trained = kAllFloat32;        ///< a parameter with its gradient and two moments
  BlockSizes blocks{64, true, 256};        ///< of QLoRA's base
  std::int64_t other_bytes = 2;            ///< of what is not quantized
  std::int64_t rank = 32;                  ///< of the lite adapters on q, k, v and o
  double consumer_card = 24e9;             ///< bytes of the largest common consumer card,
  double smaller_card = 16e9;              ///< of the next,
  double data_center_card = 80e9;          ///< and of an H100
};

/// Parameters of a decoder of such sizes.
std::int64_t parameters_of(const DecoderSizes& sizes);

/// Bytes of a QLoRA run before activations: the base as it is resident, and adapters of rank R on
/// q, k, v and o with gradients and moments.
std::int64_t qlora_bytes(const CourseInputs& in);

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter17
