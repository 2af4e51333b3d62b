#include "checkpoint/safetensors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>

#include "core/files.h"
#include "core/json.h"

namespace qlora {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";

static_assert(std::endian::native == std::endian::little, "tensors are stored little-endian");

// What the header says about one tensor: offsets count from the end of the header.
struct Entry {
  TensorInfo info;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::string quoted(std::string_view text) {
  return std::string("\"").append(text) + "\"";
}

// Bytes of the values. A zero among the dimensions must not hide others whose product does not fit:
// every partial product is below the one of the dimensions that are not zero.
std::optional<std::size_t> checked_nbytes(DType dtype, const Shape& shape) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t d : shape) {
    empty = empty || d == 0;
    if (d != 0 && __builtin_mul_overflow(bytes, d, &bytes)) return std::nullopt;
  }
  return empty ? 0 : static_cast<std::size_t>(bytes);
}

Shape read_shape(const Json& json, const std::string& file, const std::string& name) {
  Shape shape;
  for (const Json& d : json.as_array()) {
    if (d.as_integer() < 0) throw BadInput(file, name, "a dimension is negative");
    shape.push_back(d.as_integer());
  }
  return shape;
}

std::uint64_t read_offset(const Json& json, const std::string& file, const std::string& name) {
  const std::int64_t offset = json.as_integer();
  if (offset < 0) throw BadInput(file, name, "a data offset is negative");
  return static_cast<std::uint64_t>(offset);
}

Entry read_entry(const Json& json, const std::string& file, const std::string& name) {
  const std::string& type = json.at("dtype").as_string();
  const std::optional<DType> dtype = dtype_from_safetensors(type);
  if (!dtype) throw BadInput(file, name, "the dtype " + quoted(type) + " is not supported");
  Entry entry;
  entry.info = {name, *dtype, read_shape(json.at("shape"), file, name)};
  const Json& offsets = json.at("data_offsets");
  if (offsets.as_array().size() != 2) throw BadInput(file, name, "data_offsets are not two");
  entry.begin = read_offset(offsets.at(std::size_t{0}), file, name);
  entry.end = read_offset(offsets.at(std::size_t{1}), file, name);
  const std::optional<std::size_t> size = checked_nbytes(*dtype, entry.info.shape);
  if (!size) {
    throw BadInput(file, name, "the shape " + to_string(entry.info.shape) + " is too large");
  }
  if (entry.end < entry.begin || entry.end - entry.begin != *size) {
    throw BadInput(file, name,
                   "the data offsets " + std::to_string(entry.begin) + " and " +
                       std::to_string(entry.end) + " do not enclose the " + std::to_string(*size) +
                       " bytes of " + type + to_string(entry.info.shape));
  }
  return entry;
}

// The tensors, in the order of their bytes, must cover the buffer without gap and overlap.
void check_tiling(const std::vector<Entry>& entries, std::uint64_t buffer,
                  const std::string& file) {
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    if (e.begin != at) {
      throw BadInput(file, e.info.name,
                     "starts at byte " + std::to_string(e.begin) + " of the data, expected " +
                         std::to_string(at) + " (tensors must not overlap or leave gaps)");
    }
    at = e.end;
  }
  if (at != buffer) {
    throw BadInput(file, "",
                   "holds " + std::to_string(buffer) + " bytes of data, the header describes " +
                       std::to_string(at));
  }
}

std::string_view header_of(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() < kLengthBytes) {
    throw BadInput(file, "", "is too short for a safetensors file");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeader) {
    throw BadInput(file, "byte 0",
                   "the header's length " + std::to_string(length) + " is above 100000000");
  }
  if (length > bytes.size() - kLengthBytes) {
    throw BadInput(file, "byte 0",
                   "the header's length " + std::to_string(length) + " goes beyond the file's end");
  }
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length};
}

}  // namespace

std::size_t TensorInfo::nbytes() const {
  return static_cast<std::size_t>(numel_of(shape)) * size_of(dtype);
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  const auto mapped = MappedFile::open(path);
  SafetensorsFile file = parse({mapped->data(), mapped->size()}, path, mapped);
  file.mapped_ = true;
  return file;
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, const std::string& file,
                                       std::shared_ptr<const void> owner) {
  const std::string_view header = header_of(bytes, file);
  const std::span<const std::byte> buffer = bytes.subspan(kLengthBytes + header.size());
  const Json json = Json::parse(header, file);

  SafetensorsFile out;
  out.path_ = file;
  out.owner_ = std::move(owner);
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.as_object()) {
    if (name != kMetadata) {
      entries.push_back(read_entry(value, file, name));
      continue;
    }
    for (const auto& [key, text] : value.as_object()) out.metadata_[key] = text.as_string();
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_tiling(entries, buffer.size(), file);

  for (Entry& e : entries) {
    out.index_.emplace(e.info.name, out.tensors_.size());
    out.data_.push_back(buffer.data() + e.begin);
    out.tensors_.push_back(std::move(e.info));
  }
  return out;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const TensorInfo& t : tensors_) names.push_back(t.name);
  return names;
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) {
    throw BadInput(path_, "", "has no tensor " + quoted(name));
  }
  return tensors_[found->second];
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const TensorInfo& t = info(name);
  const std::byte* data = data_[index_.find(name)->second];
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(t.dtype) != 0) {
    const Tensor copy = Tensor::empty(t.dtype, t.shape);
    if (t.nbytes() > 0) std::memcpy(copy.raw(), data, t.nbytes());
    return copy;
  }
  // Tensor has no read-only kind; the mapping is read-only, so that a write would not go unnoticed.
  return Tensor::view(t.dtype, t.shape, const_cast<std::byte*>(data), owner_);
}

void SafetensorsFile::release(std::string_view name) const {
  const std::size_t size = info(name).nbytes();
  if (!mapped_) return;
  // Whole pages only: the first and the last may hold a neighbor's values.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data_[index_.find(name)->second]);
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + size) / page * page;
  if (first >= last) return;
  const std::byte* at = data_[index_.find(name)->second] + (first - begin);
  ::madvise(const_cast<std::byte*>(at), last - first, MADV_DONTNEED);
}

}  // namespace qlora
