// What weights take in 4 bits, counted from their shapes: no weight is needed for it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace qlora {

/// The sizes of a Llama-shaped decoder that decide how many weights it has.
struct DecoderSizes {
  std::int64_t hidden;        ///< C
  std::int64_t attention;     ///< H·D, the output of q
  std::int64_t key_value;     ///< K·D, the output of k and of v
  std::int64_t intermediate;  ///< F
  std::int64_t layers;        ///< L
  std::int64_t vocabulary;    ///< V
  bool tied;                  ///< the head is the embedding
};

/// Sizes of published models.
inline constexpr DecoderSizes kLlama32_1b{2048, 2048, 512, 8192, 16, 128256, true};
inline constexpr DecoderSizes kLlama32_3b{3072, 3072, 1024, 8192, 28, 128256, true};
inline constexpr DecoderSizes kLlama31_8b{4096, 4096, 1024, 14336, 32, 128256, false};
inline constexpr DecoderSizes kGemma2b{2048, 2048, 256, 16384, 18, 256000, true};

/// [out, in] of q, k, v, o, gate, up and down of every layer: what bitsandbytes quantizes.
std::vector<Shape> linear_shapes(const DecoderSizes& sizes);

/// Embedding, head where it is not tied, and the 2L + 1 norms: what stays in 16 bits.
std::int64_t other_parameters(const DecoderSizes& sizes);

/// Elements of all shapes. @throws std::overflow_error if they do not fit
std::int64_t total_numel(std::span<const Shape> shapes);

/// How a tensor is cut into blocks.
struct BlockSizes {
  std::int64_t blocksize = 64;          ///< weights that share an absmax
  bool double_quant = false;            ///< whether absmax is held in 8 bits
  std::int64_t nested_blocksize = 256;  ///< maxima that share a nested absmax
};

/// Bytes and counts of tensors in 4 bits, without the maps (64 bytes, and 1,024 with double
/// quantization) and the offset (4 bytes) that each tensor brings along.
struct FourBitBytes {
  std::int64_t weights = 0;        ///< elements
  std::int64_t blocks = 0;         ///< of the first level
  std::int64_t nested_blocks = 0;  ///< of the second level, 0 without double quantization
  std::int64_t packed = 0;         ///< bytes of codes, two a byte
  std::int64_t absmax = 0;         ///< bytes of the block maxima: 4 each, or 1
  std::int64_t nested_absmax = 0;  ///< bytes of the nested maxima, 4 each

  /// Bytes of what restores the codes.
  std::int64_t constants() const { return absmax + nested_absmax; }
  /// All bits over all weights.
  double bits_per_weight() const {
    return 8.0 * static_cast<double>(packed + constants()) / static_cast<double>(weights);
  }
};

/// Each tensor is cut into blocks by itself; its last block and its last nested block may be short.
/// @throws std::invalid_argument unless the block sizes are positive
FourBitBytes four_bit_bytes(std::span<const Shape> shapes, const BlockSizes& sizes = {});

/// 4 + 32/blocksize; with double quantization 4 + 8/blocksize + 32/(blocksize · nested_blocksize)
/// (QLoRA paper, section 3): the bits of a weight in a tensor without short blocks.
/// @throws std::invalid_argument unless the block sizes are positive
double nominal_bits_per_weight(const BlockSizes& sizes);

}  // namespace qlora
