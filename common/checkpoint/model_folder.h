// A Hugging Face model folder: config.json and the weights, read and written.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tensor_files.h"
#include "core/json.h"

namespace qlora {

/// A model's configuration, as it stands in the file, and its tensors, each read when it is asked
/// for.
struct ModelFolder {
  std::string path;     ///< as it was given
  Json config;          ///< config.json
  TensorFiles tensors;  ///< of model.safetensors or its shards

  /// @throws BadInput if the folder, config.json or the weights are not there or are wrong
  static ModelFolder open(const std::string& path);
};

/// Writes the weights of a model into a folder that write_folder_atomically (core/files.h) gave:
/// model.safetensors, or shards of at most `shard_size` bytes with their index. Shards are filled
/// in the order in which the tensors are announced; the tensors themselves come in any order.
class ModelWriter {
 public:
  static constexpr std::size_t kShardSize = 5'000'000'000;  ///< transformers' max_shard_size

  /// @throws BadInput if a file cannot be written, std::invalid_argument on a name given twice
  ModelWriter(const std::string& folder, const std::vector<TensorInfo>& tensors,
              std::size_t shard_size = kShardSize);

  /// @throws as SafetensorsWriter::write
  void write(const std::string& name, const Tensor& tensor);
  /// Puts the shards into place and writes the index. @throws as SafetensorsWriter::finish
  void finish();

 private:
  std::string folder_;
  std::size_t total_size_ = 0;
  std::vector<std::string> shard_names_;
  std::vector<std::unique_ptr<SafetensorsWriter>> shards_;
  std::map<std::string, std::size_t> shard_of_;
};

/// Writes config.json as transformers does: keys sorted, two spaces a level, a newline at the end.
void write_config(const std::string& folder, const Json& config);

/// Checks that a folder may be written: write_folder_atomically replaces the one that is there,
/// which must be empty, so that no file is ever deleted, and not be the input.
/// @throws BadInput
void check_output_folder(const std::string& input, const std::string& output);

/// The dtype that config.json gives the weights, if it does.
std::optional<DType> dtype_of(const Json& config);

/// config.json of the folder without quantization_config; a dtype that is given becomes its dtype.
Json unquantized_config(const ModelFolder& folder, std::optional<DType> dtype);

/// Copies what belongs to a model beside config.json and the weights: the tokenizer's files, the
/// chat template, generation_config.json and the like, the license. Other files (a README, logs,
/// figures, rows) are of the one model or of a run, and stay behind. @throws BadInput
void copy_companions(const std::string& from, const std::string& to);

}  // namespace qlora
