// A tensor in 4 bits, as bitsandbytes holds it: codes, block maxima, and what restores them.
#pragma once

#include "core/tensor.h"

namespace qlora {

/// The codebook: 16 quantiles of a normal distribution, or 4-bit floating-point numbers.
enum class QuantType { nf4, fp4 };

/// "nf4", "fp4": bitsandbytes' quant_type.
std::string_view to_string(QuantType type);

/// Codes and constants of a 4-bit tensor of n elements in blocks of `blocksize`; the members carry
/// the dtypes and shapes of bitsandbytes' serialized layout (functional.py, QuantState.as_dict).
struct QuantizedTensor {
  QuantType type = QuantType::nf4;  ///< which codebook `code` is
  std::int64_t blocksize = 64;      ///< elements that share an absmax
  DType dtype = DType::f32;  ///< the dtype that the values had, and to which they are rounded back
  Shape shape;               ///< of the values
  Tensor packed;             ///< U8 [(n+1)/2, 1]; the first element of a pair is the high nibble
  Tensor code;               ///< F32 [16], the value of each code ("quant_map")
  Tensor absmax;             ///< F32 [blocks]; U8 [blocks] where double quantization is on
  // Double quantization: absmax[b] = nested_code[absmax_u8[b]] * nested_absmax[b / 256] + offset.
  std::int64_t nested_blocksize = 256;  ///< maxima that share a nested_absmax
  Tensor nested_absmax;                 ///< F32 [ceil(blocks / nested_blocksize)]
  Tensor nested_code;                   ///< F32 [256], the signed dynamic map
  float offset = 0.0f;                  ///< mean of the block maxima

  /// Elements, blocks of them (the last may be short), and whether double quantization is on.
  std::int64_t numel() const { return numel_of(shape); }
  std::int64_t blocks() const { return (numel() + blocksize - 1) / blocksize; }
  bool nested() const { return absmax.dtype() == DType::u8; }
  /// Bytes of codes, maxima and maps.
  std::size_t nbytes() const;
};

/// Quantizes a floating-point tensor (bitsandbytes: functional.quantize_4bit on a GPU).
/// @param blocksize  64 … 4096, a power of two (32 too)
/// @throws std::invalid_argument on another block size or an integer tensor
QuantizedTensor quantize_4bit(const Tensor& x, QuantType type, std::int64_t blocksize = 64,
                              bool double_quant = false);

/// The values in q.dtype: code[c] * absmax[b] in float32, rounded once
/// (bitsandbytes: functional.dequantize_4bit).
Tensor dequantize_4bit(const QuantizedTensor& q);

/// The same values widened to float32 (rounded to q.dtype first), n of them at `out`.
/// Spread over the threads.
void dequantize_4bit(const QuantizedTensor& q, float* out);

/// The block maxima in float32 [blocks], with double quantization undone: product, then sum, two
/// roundings.
Tensor restored_absmax(const QuantizedTensor& q);

/// Checks that codes and constants have the sizes that shape, blocksize and type ask for.
/// @throws std::invalid_argument naming the first that does not
void validate(const QuantizedTensor& q);

}  // namespace qlora
