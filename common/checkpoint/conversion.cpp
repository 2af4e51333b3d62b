#include "checkpoint/conversion.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "checkpoint/eight_bit.h"
#include "core/parallel.h"
#include "quantization/block_absmax.h"
#include "quantization/double_quantization.h"

namespace qlora {
namespace {

using Action = ConversionItem::Action;

constexpr std::int64_t kNestedBlocksize = 256;
constexpr std::int64_t kPiece = 1 << 16;  // elements: a multiple of every block size

std::vector<TensorInfo> infos_of(const NamedTensors& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors)
    infos.push_back({name, tensor.dtype(), tensor.shape()});
  return infos;
}

// The offset that quantize_4bit will find: the mean of the block maxima.
float nested_offset(const Tensor& x, std::int64_t blocksize) {
  const std::int64_t n = x.numel();
  const Tensor flat = x.reshape({n});
  std::vector<float> absmax(static_cast<std::size_t>((n + blocksize - 1) / blocksize));
  parallel_for((n + kPiece - 1) / kPiece, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t begin = from * kPiece; begin < std::min(n, to * kPiece); begin += kPiece) {
      const std::int64_t end = std::min(n, begin + kPiece);
      const Tensor piece = flat.rows(begin, end).to(DType::f32);
      for (std::int64_t at = 0; at < end - begin; at += blocksize) {
        const std::int64_t count = std::min(blocksize, end - begin - at);
        absmax[static_cast<std::size_t>((begin + at) / blocksize)] =
            block_absmax({piece.data<float>() + at, static_cast<std::size_t>(count)});
      }
    }
  });
  return absmax_offset(absmax);
}

// A tensor that has no memory, for what is only announced.
Tensor shaped(DType dtype, Shape shape) {
  return Tensor::view(dtype, std::move(shape), nullptr, nullptr);
}

// What quantize_4bit will give, without its values.
QuantizedTensor outline_4bit(const TensorInfo& info, const QuantizeSettings& settings,
                             float offset) {
  QuantizedTensor q;
  q.type = settings.type();
  q.blocksize = settings.blocksize;
  q.dtype = info.dtype == DType::f64 ? DType::f32 : info.dtype;
  q.shape = info.shape;
  q.packed = shaped(DType::u8, {(q.numel() + 1) / 2, 1});
  q.code = shaped(DType::f32, {16});
  q.absmax = shaped(settings.double_quant ? DType::u8 : DType::f32, {q.blocks()});
  if (settings.double_quant) {
    q.nested_blocksize = kNestedBlocksize;
    q.nested_absmax = shaped(DType::f32, {(q.blocks() + kNestedBlocksize - 1) / kNestedBlocksize});
    q.nested_code = shaped(DType::f32, {256});
    q.offset = offset;
  }
  return q;
}

// The dtype of what comes out of the 8-bit formats, which do not record it.
DType dtype_of_8bit(const TensorFiles& files, const std::string& name) {
  return is_stored_in_int8(files, name) ? DType::f16 : DType::f32;
}

Tensor restored_from_8bit(const TensorFiles& files, const std::string& name, DType dtype) {
  if (is_stored_in_blockwise8(files, name)) {
    return dequantize_blockwise8(read_blockwise8(files, name)).to(dtype);
  }
  const Int8Tensor t = read_int8(files, name);
  const Tensor x = Tensor::empty(DType::f32, t.codes.shape());
  dequantize_int8(t, x.data<float>());
  return x.to(dtype);
}

NamedTensors quantized(const std::string& name, const Tensor& x, const QuantizeSettings& settings) {
  switch (settings.format) {
    case StoredFormat::int8:
      return parts_of_int8(name, quantize_int8(x));
    case StoredFormat::blockwise8:
      return parts_of_blockwise8(name, quantize_blockwise8(x, settings.blocksize));
    default:
      return parts_of_4bit(
          name, quantize_4bit(x, settings.type(), settings.blocksize, settings.double_quant));
  }
}

}  // namespace

bool is_quantized(const TensorFiles& files, const std::string& name) {
  return is_stored_in_4bit(files, name) || is_stored_in_int8(files, name) ||
         is_stored_in_blockwise8(files, name);
}

std::vector<std::string> companions_of(const TensorFiles& files, const std::string& name) {
  if (is_stored_in_4bit(files, name)) return files.names_with_prefix(name + ".");
  return companions_in_8bit(files, name);
}

std::set<std::string> all_companions(const TensorFiles& files) {
  std::set<std::string> parts;
  for (const std::string& name : files.names()) {
    for (std::string& part : companions_of(files, name)) parts.insert(std::move(part));
  }
  return parts;
}

Conversion::Conversion(const TensorFiles& in, std::vector<ConversionItem> items,
                       const QuantizeSettings& settings, std::optional<DType> dtype,
                       const QuantizeProgress& progress)
    : in_(in), items_(std::move(items)), settings_(settings), dtype_(dtype), progress_(progress) {
  for (const SafetensorsFile& file : in.files()) {
    for (const TensorInfo& t : file.tensors()) bytes_total_ += t.nbytes();
  }
  if (settings_.double_quant) bytes_total_ *= 2;  // two walks read the data
}

std::vector<TensorInfo> Conversion::announce() {
  count(0, "");
  std::vector<TensorInfo> out;
  std::set<std::string> names;
  for (const ConversionItem& item : items_) {
    for (TensorInfo& info : outputs_of(item)) {
      if (!names.insert(info.name).second) {
        throw BadInput(in_.path(), info.name, "would stand twice in the output");
      }
      summary_.bytes_written += info.nbytes();
      out.push_back(std::move(info));
    }
  }
  return out;
}

DType Conversion::written_dtype(DType dtype) const {
  return dtype_ && is_floating(dtype) ? *dtype_ : dtype;
}

std::vector<TensorInfo> Conversion::outputs_of(const ConversionItem& item) {
  const TensorInfo& info = item.info;
  if (item.action == Action::quantize) {
    summary_.elements += numel_of(info.shape);
    std::vector<TensorInfo> parts = infos_of(outline(info));
    for (const TensorInfo& part : parts) summary_.bytes_quantized += part.nbytes();
    return parts;
  }
  if (item.action == Action::restore) {
    TensorInfo out = info;
    if (is_stored_in_4bit(in_, info.name)) {
      const QuantizedTensor q = read_4bit(in_, info.name);
      out = {info.name, q.dtype, q.shape};
    } else {
      out.dtype = dtype_of_8bit(in_, info.name);
    }
    out.dtype = written_dtype(out.dtype);
    summary_.elements += numel_of(out.shape);
    return {out};
  }
  if (settings_.double_quant) count(info.nbytes(), info.name);
  return {{info.name, written_dtype(info.dtype), info.shape}};
}

// What a tensor to quantize will become, without its values.
NamedTensors Conversion::outline(const TensorInfo& info) {
  const Shape& shape = info.shape;
  if (settings_.format == StoredFormat::int8) {
    return parts_of_int8(info.name, {shaped(DType::i8, shape), shaped(DType::f32, {shape.at(0)})});
  }
  if (settings_.format == StoredFormat::blockwise8) {
    const std::int64_t blocks = (numel_of(shape) + settings_.blocksize - 1) / settings_.blocksize;
    return parts_of_blockwise8(
        info.name, {settings_.blocksize, shaped(DType::u8, shape), shaped(DType::f32, {blocks}),
                    shaped(DType::f32, {256})});
  }
  const float offset = settings_.double_quant ? offset_of(info) : 0.0f;
  return parts_of_4bit(info.name, outline_4bit(info, settings_, offset));
}

float Conversion::offset_of(const TensorInfo& info) {
  const float offset = nested_offset(in_.tensor(info.name), settings_.blocksize);
  if (!std::isfinite(offset)) {
    throw BadInput(in_.file_of(info.name).path(), info.name,
                   "holds infinite values: double quantization needs a finite mean of maxima");
  }
  in_.release(info.name);
  count(info.nbytes(), info.name);
  return offset;
}

NamedTensors Conversion::converted(const ConversionItem& item) const {
  const std::string& name = item.info.name;
  if (item.action == Action::restore) {
    if (!is_stored_in_4bit(in_, name)) {
      return {{name, restored_from_8bit(in_, name, written_dtype(dtype_of_8bit(in_, name)))}};
    }
    QuantizedTensor q = read_4bit(in_, name);
    q.dtype = written_dtype(q.dtype);
    return {{name, dequantize_4bit(q)}};
  }
  const Tensor x = in_.tensor(name);
  if (item.action == Action::quantize) return quantized(name, x, settings_);
  return {{name, dtype_ && is_floating(x.dtype()) ? x.to(*dtype_) : x}};
}

// Lets go of what was read: the tensor, and the parts that only a restored one has.
void Conversion::finish(const ConversionItem& item) {
  const std::string& name = item.info.name;
  std::vector<std::string> read{name};
  if (item.action == Action::restore) {
    for (std::string& part : companions_of(in_, name)) read.push_back(std::move(part));
  }
  std::size_t bytes = 0;
  for (const std::string& part : read) {
    in_.release(part);
    bytes += in_.info(part).nbytes();
  }
  (item.action == Action::keep ? summary_.kept : summary_.converted) += 1;
  if (item.action == Action::restore) summary_.bytes_quantized += bytes;
  summary_.bytes_read += bytes;
  count(bytes, name);
}

void Conversion::count(std::size_t bytes, const std::string& tensor) {
  bytes_done_ += bytes;
  if (progress_) progress_(bytes_done_, bytes_total_, tensor);
}

}  // namespace qlora
