// 8-bit tensors in files: the names that bitsandbytes' state dicts use.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/tensor_files.h"
#include "quantization/eight_bit_tensor.h"

namespace qlora {

/// Whether a tensor is stored in rows of int8: it is I8, and its row maxima stand beside it, under
/// "m.SCB" for "m.weight", else under "<name>.SCB".
bool is_stored_in_int8(const TensorFiles& files, const std::string& name);

/// Reads such a tensor; it stays where it is, in the mapped file.
/// @param shape  what the model expects
/// @throws BadInput naming the file and the tensor: a part of another dtype or size, another
///         weight_format than 0
Int8Tensor read_int8(const TensorFiles& files, const std::string& name,
                     const std::optional<Shape>& shape = std::nullopt);

/// The tensors of Linear8bitLt's state dict: the codes, SCB, and, for a weight, weight_format = 0
/// (rows as they are).
NamedTensors parts_of_int8(const std::string& name, const Int8Tensor& t);

/// Whether a tensor is stored in blocks of dynamic 8-bit codes: it is U8, with "<name>.absmax" and
/// "<name>.quant_map" beside it, and no quant_state.
bool is_stored_in_blockwise8(const TensorFiles& files, const std::string& name);

/// Reads such a tensor. The block size is the power of two that makes as many blocks as there are
/// maxima. @throws BadInput as read_int8
Blockwise8Tensor read_blockwise8(const TensorFiles& files, const std::string& name);

/// The codes, absmax and quant_map.
NamedTensors parts_of_blockwise8(const std::string& name, const Blockwise8Tensor& t);

/// What else belongs to a tensor that is stored in 8 bits; empty for any other.
std::vector<std::string> companions_in_8bit(const TensorFiles& files, const std::string& name);

}  // namespace qlora
