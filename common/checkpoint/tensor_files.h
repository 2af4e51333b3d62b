// The tensors of one safetensors file, or of the shards of a folder, under one roof.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace qlora {

/// Tensors whose names differ, in one file or in several.
class TensorFiles {
 public:
  /// No file, or one: it is a set of files too.
  TensorFiles() = default;
  TensorFiles(SafetensorsFile file);

  /// model.safetensors of a Hugging Face folder, or the shards that model.safetensors.index.json
  /// names. @throws BadInput if neither is there, a shard is missing, a tensor stands in two
  /// shards, or the index and the shards do not name the same tensors in the same places
  static TensorFiles open_folder(const std::string& folder);

  /// The file or the folder.
  const std::string& path() const { return path_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  /// All names, in the order of their bytes, file after file.
  std::vector<std::string> names() const;
  /// The names that begin with `prefix`, sorted.
  std::vector<std::string> names_with_prefix(const std::string& prefix) const;
  bool has(std::string_view name) const { return index_.find(name) != index_.end(); }
  /// The file that holds a tensor. @throws BadInput if there is none of that name
  const SafetensorsFile& file_of(std::string_view name) const;
  const TensorInfo& info(std::string_view name) const { return file_of(name).info(name); }
  /// As SafetensorsFile::tensor and release.
  Tensor tensor(std::string_view name) const { return file_of(name).tensor(name); }
  void release(std::string_view name) const { file_of(name).release(name); }

 private:
  void add(SafetensorsFile file);

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> index_;  // which file
};

}  // namespace qlora
