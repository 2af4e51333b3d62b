// The claims of chapter 4, computed from block sizes and the shapes of the course's model.
#pragma once

#include "course/ledger.h"
#include "quantization/footprint.h"

namespace qlora::chapter04 {

/// What the values are computed from.
struct CourseInputs {
  BlockSizes sizes{64, true, 256};   ///< of bitsandbytes
  DecoderSizes llama = kLlama32_3b;  ///< the course's model
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& in = {});

/// What a model takes in 4 bits with and without double quantization.
struct Resident {
  FourBitBytes plain;                  ///< maxima in float32
  FourBitBytes nested;                 ///< maxima double-quantized
  std::int64_t sixteen_bit_bytes = 0;  ///< embedding, head and norms

  /// Bytes that double quantization saves.
  std::int64_t saved() const { return plain.constants() - nested.constants(); }
  /// Bytes of the model without it: codes, maxima, and the rest in 16 bits.
  std::int64_t total() const { return plain.packed + plain.constants() + sixteen_bit_bytes; }
  /// saved() over total(), in percent.
  double saved_percent() const {
    return 100.0 * static_cast<double>(saved()) / static_cast<double>(total());
  }
};

/// The figures of a model.
Resident resident(const DecoderSizes& model, const BlockSizes& sizes);

}  // namespace qlora::chapter04
