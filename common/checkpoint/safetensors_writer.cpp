#include <algorithm>
#include <array>
#include <cstdint>

#include "checkpoint/safetensors.h"
#include "core/json.h"

namespace qlora {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::string_view kMetadata = "__metadata__";

// The order of the library's writer: its enumeration of dtypes, from the last to the first.
int writing_rank(DType dtype) {
  constexpr std::array<DType, 9> order{DType::i64, DType::f64,  DType::f32,
                                       DType::i32, DType::bf16, DType::f16,
                                       DType::i8,  DType::u8,   DType::boolean};
  return static_cast<int>(std::find(order.begin(), order.end(), dtype) - order.begin());
}

void append_key(std::string& text, std::string_view key) {
  if (text.back() != '{') text += ',';
  text += Json(std::string(key)).dump();
  text += ':';
}

void append_metadata(std::string& text, const SafetensorsMetadata& metadata) {
  append_key(text, kMetadata);
  text += '{';
  for (const auto& [key, value] : metadata) {
    append_key(text, key);
    text += Json(value).dump();
  }
  text += '}';
}

std::string header_text(const std::vector<TensorInfo>& tensors,
                        const SafetensorsMetadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) append_metadata(text, metadata);
  std::size_t offset = 0;
  for (const TensorInfo& t : tensors) {
    append_key(text, t.name);
    text.append("{\"dtype\":\"").append(safetensors_name(t.dtype)).append("\",\"shape\":[");
    for (std::size_t i = 0; i < t.shape.size(); ++i) {
      if (i > 0) text += ',';
      text += std::to_string(t.shape[i]);
    }
    text.append("],\"data_offsets\":[").append(std::to_string(offset)).append(",");
    offset += t.nbytes();
    text.append(std::to_string(offset)).append("]}");
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<TensorInfo> tensors,
                                     const SafetensorsMetadata& metadata)
    : file_(path) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    const int rank_a = writing_rank(a.dtype);
    const int rank_b = writing_rank(b.dtype);
    return rank_a != rank_b ? rank_a < rank_b : a.name < b.name;
  });
  const std::string header = header_text(tensors, metadata);
  const std::uint64_t length = header.size();
  file_.write(0, &length, kLengthBytes);
  file_.write(kLengthBytes, header.data(), header.size());

  std::size_t offset = kLengthBytes + header.size();
  for (TensorInfo& t : tensors) {
    const std::size_t size = t.nbytes();
    const std::string name = t.name;
    const bool added = places_.emplace(name, Place{std::move(t), offset, false}).second;
    require(added && name != kMetadata, "SafetensorsWriter", "names that differ");
    offset += size;
  }
}

void SafetensorsWriter::write(const std::string& name, const Tensor& tensor) {
  const auto found = places_.find(name);
  require(found != places_.end(), "SafetensorsWriter::write", "a tensor that was announced");
  Place& place = found->second;
  require(place.info.dtype == tensor.dtype() && place.info.shape == tensor.shape() &&
              tensor.device() == Device::cpu,
          "SafetensorsWriter::write", "the announced dtype and shape, and host memory");
  require(!place.written, "SafetensorsWriter::write", "each tensor once");
  file_.write(place.offset, tensor.raw(), tensor.nbytes());
  place.written = true;
}

void SafetensorsWriter::finish() {
  for (const auto& entry : places_) {
    require(entry.second.written, "SafetensorsWriter::finish", "every announced tensor");
  }
  file_.finish();
}

void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const SafetensorsMetadata& metadata) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    infos.push_back({name, tensor.dtype(), tensor.shape()});
  }
  SafetensorsWriter writer(path, std::move(infos), metadata);
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor);
  writer.finish();
}

}  // namespace qlora
