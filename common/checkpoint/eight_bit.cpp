#include "checkpoint/eight_bit.h"

#include "core/error.h"

namespace qlora {
namespace {

bool is_weight(const std::string& name) {
  return name == "weight" || name.ends_with(".weight");
}

// "m." of "m.weight", "" of "weight", "x." of any other x.
std::string prefix_of(const std::string& name) {
  return is_weight(name) ? name.substr(0, name.size() - std::string_view("weight").size())
                         : name + ".";
}

std::string scb_of(const std::string& name) {
  return prefix_of(name) + "SCB";
}

std::string format_of(const std::string& name) {
  return prefix_of(name) + "weight_format";
}

[[noreturn]] void refuse(const TensorFiles& files, const std::string& name,
                         const std::string& expected) {
  const TensorInfo& info = files.info(name);
  throw BadInput(files.file_of(name).path(), name,
                 "is " + std::string(safetensors_name(info.dtype)) + " " + to_string(info.shape) +
                     ", expected " + expected);
}

Tensor take(const TensorFiles& files, const std::string& name, DType dtype, std::int64_t size) {
  const TensorInfo& info = files.info(name);
  if (info.dtype != dtype || info.shape != Shape{size}) {
    refuse(files, name, std::string(safetensors_name(dtype)) + " " + to_string(Shape{size}));
  }
  return files.tensor(name);
}

// The power of two that makes so many blocks of n elements; 0: there is none.
std::int64_t blocksize_of(std::int64_t n, std::int64_t blocks) {
  for (std::int64_t b = 32; b <= 4096; b *= 2) {
    if ((n + b - 1) / b == blocks) return b;
  }
  return 0;
}

}  // namespace

bool is_stored_in_int8(const TensorFiles& files, const std::string& name) {
  return files.info(name).dtype == DType::i8 && files.has(scb_of(name));
}

Int8Tensor read_int8(const TensorFiles& files, const std::string& name,
                     const std::optional<Shape>& shape) {
  const TensorInfo& info = files.info(name);
  if (info.dtype != DType::i8 || info.shape.size() != 2 || (shape && info.shape != *shape)) {
    refuse(files, name, "I8 " + (shape ? to_string(*shape) : "with two dimensions"));
  }
  const std::string format = format_of(name);
  if (files.has(format)) {
    const TensorInfo& f = files.info(format);
    if (f.dtype != DType::u8 || numel_of(f.shape) != 1) refuse(files, format, "one U8 value");
    if (files.tensor(format).data<std::uint8_t>()[0] != 0) {
      throw BadInput(files.file_of(format).path(), format, "is not 0: rows as they are");
    }
  }
  return {files.tensor(name), take(files, scb_of(name), DType::f32, info.shape[0])};
}

NamedTensors parts_of_int8(const std::string& name, const Int8Tensor& t) {
  NamedTensors parts{{name, t.codes}, {scb_of(name), t.absmax}};
  if (is_weight(name)) parts.emplace_back(format_of(name), Tensor::zeros(DType::u8, {}));
  return parts;
}

bool is_stored_in_blockwise8(const TensorFiles& files, const std::string& name) {
  return files.info(name).dtype == DType::u8 && files.has(name + ".absmax") &&
         files.has(name + ".quant_map") &&
         files.names_with_prefix(name + ".quant_state.bitsandbytes__").empty();
}

Blockwise8Tensor read_blockwise8(const TensorFiles& files, const std::string& name) {
  const TensorInfo& info = files.info(name);
  const std::string absmax = name + ".absmax";
  const Shape& blocks = files.info(absmax).shape;
  const std::int64_t count = blocks.size() == 1 ? blocks[0] : -1;
  const std::int64_t blocksize = blocksize_of(numel_of(info.shape), count);
  if (blocksize == 0) refuse(files, absmax, "F32 with one value for each block of " + name);
  return {blocksize, files.tensor(name), take(files, absmax, DType::f32, count),
          take(files, name + ".quant_map", DType::f32, 256)};
}

NamedTensors parts_of_blockwise8(const std::string& name, const Blockwise8Tensor& t) {
  return {{name, t.codes}, {name + ".absmax", t.absmax}, {name + ".quant_map", t.map}};
}

std::vector<std::string> companions_in_8bit(const TensorFiles& files, const std::string& name) {
  if (is_stored_in_blockwise8(files, name)) return {name + ".absmax", name + ".quant_map"};
  if (!is_stored_in_int8(files, name)) return {};
  std::vector<std::string> companions{scb_of(name)};
  if (files.has(format_of(name))) companions.push_back(format_of(name));
  return companions;
}

}  // namespace qlora
