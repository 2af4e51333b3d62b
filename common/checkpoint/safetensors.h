// safetensors: eight bytes of header length, a JSON header, and the tensors' bytes.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/placed_file.h"
#include "core/tensor.h"

namespace qlora {

/// The header's "__metadata__"; Hugging Face's files hold {"format": "pt"}.
using SafetensorsMetadata = std::map<std::string, std::string>;

/// What a header says about one tensor.
struct TensorInfo {
  std::string name;          ///< the key in the header
  DType dtype = DType::f32;  ///< of the values in the file
  Shape shape;               ///< row-major; empty: a scalar

  /// Bytes of the values. @throws std::overflow_error
  std::size_t nbytes() const;
};

/// A safetensors file in memory, checked as a whole when it is opened: the header's length (at most
/// 100,000,000), strict JSON, known dtypes, sizes without overflow, and offsets that tile the data
/// buffer from its first byte to the file's last (huggingface/safetensors, src/tensor.rs,
/// SafeTensors::deserialize). Copies are views of the same bytes.
class SafetensorsFile {
 public:
  /// Maps a file. @throws BadInput naming the file and the tensor or the place in the header
  static SafetensorsFile open(const std::string& path);

  /// Reads a file's bytes from memory that `owner` keeps alive (it may be null: the caller does).
  /// @param file  named in error messages
  static SafetensorsFile parse(std::span<const std::byte> bytes, const std::string& file,
                               std::shared_ptr<const void> owner = nullptr);

  /// The file, as it was named.
  const std::string& path() const { return path_; }
  /// All tensors, in the order of their bytes in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return index_.find(name) != index_.end(); }
  /// @throws BadInput if the file has no tensor of that name
  const TensorInfo& info(std::string_view name) const;
  DType dtype(std::string_view name) const { return info(name).dtype; }
  const Shape& shape(std::string_view name) const { return info(name).shape; }

  /// The values: a read-only view that keeps the file mapped, or a copy where the bytes do not lie
  /// at a multiple of the element size. @throws BadInput if the file has no tensor of that name
  Tensor tensor(std::string_view name) const;

  /// Gives the memory pages of a tensor back to the system, which reads them again from the mapped
  /// file when they are next looked at: a walk over a large file need not keep it in memory.
  void release(std::string_view name) const;

  /// Empty where the header has none.
  const SafetensorsMetadata& metadata() const { return metadata_; }

 private:
  std::string path_;
  std::shared_ptr<const void> owner_;
  bool mapped_ = false;
  std::vector<TensorInfo> tensors_;
  std::vector<const std::byte*> data_;  // of each tensor
  std::map<std::string, std::size_t, std::less<>> index_;
  SafetensorsMetadata metadata_;
};

/// Writes a file whose tensors come one at a time, in any order, so that only one needs to be in
/// memory. Their bytes are laid out as the library's writer does: dtypes by descending alignment,
/// then names; header without spaces, padded with spaces to a multiple of eight.
class SafetensorsWriter {
 public:
  /// @param tensors  every tensor that will be written
  /// @throws std::invalid_argument if two have one name; BadInput if the file cannot be written
  SafetensorsWriter(const std::string& path, std::vector<TensorInfo> tensors,
                    const SafetensorsMetadata& metadata = {{"format", "pt"}});

  /// @throws std::invalid_argument if the tensor was not announced with this dtype and shape, or
  /// was written before
  void write(const std::string& name, const Tensor& tensor);

  /// Puts the file into place. Without this call nothing is left of it.
  /// @throws std::invalid_argument if a tensor was not written
  void finish();

 private:
  struct Place {
    TensorInfo info;
    std::size_t offset = 0;
    bool written = false;
  };
  PlacedFile file_;
  std::map<std::string, Place> places_;
};

/// Tensors and their names, in the order in which they are written.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// Writes a whole file at once, all or nothing. @throws as SafetensorsWriter
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const SafetensorsMetadata& metadata = {{"format", "pt"}});

}  // namespace qlora
