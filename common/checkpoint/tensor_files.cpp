#include "checkpoint/tensor_files.h"

#include <sys/stat.h>

#include <set>

#include "core/json.h"

namespace qlora {
namespace {

bool exists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

// Tensor names and the shards that hold them.
std::map<std::string, std::string> read_index(const std::string& path) {
  const Json json = Json::read(path);
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, value] : json.at("weight_map").as_object()) {
    const std::string& shard = value.as_string();
    if (shard.empty() || shard.front() == '.' || shard.find('/') != std::string::npos) {
      throw BadInput(path, "weight_map", "\"" + shard + "\" is not the name of a file beside it");
    }
    shard_of.emplace(name, shard);
  }
  return shard_of;
}

}  // namespace

TensorFiles::TensorFiles(SafetensorsFile file) : path_(file.path()) {
  add(std::move(file));
}

void TensorFiles::add(SafetensorsFile file) {
  for (const TensorInfo& t : file.tensors()) {
    const auto [place, added] = index_.emplace(t.name, files_.size());
    if (!added) {
      throw BadInput(file.path(), t.name, "also stands in " + files_[place->second].path());
    }
  }
  files_.push_back(std::move(file));
}

TensorFiles TensorFiles::open_folder(const std::string& folder) {
  const std::string single = folder + "/model.safetensors";
  const std::string index = folder + "/model.safetensors.index.json";
  TensorFiles all;
  all.path_ = folder;
  if (exists(single)) {
    all.add(SafetensorsFile::open(single));
    return all;
  }
  if (!exists(index)) {
    throw BadInput(folder, "", "holds neither model.safetensors nor model.safetensors.index.json");
  }
  const std::map<std::string, std::string> shard_of = read_index(index);
  std::set<std::string> shards;
  for (const auto& entry : shard_of) shards.insert(entry.second);
  const std::string beside = folder + "/";
  for (const std::string& shard : shards) all.add(SafetensorsFile::open(beside + shard));

  for (const auto& [name, shard] : shard_of) {
    const auto found = all.index_.find(name);
    if (found == all.index_.end() || all.files_[found->second].path() != beside + shard) {
      throw BadInput(index, name, "is not in " + shard);
    }
  }
  for (const auto& entry : all.index_) {
    if (shard_of.count(entry.first) == 0) {
      throw BadInput(index, entry.first,
                     "is not in weight_map, but in " + all.files_[entry.second].path());
    }
  }
  return all;
}

std::vector<std::string> TensorFiles::names() const {
  std::vector<std::string> names;
  for (const SafetensorsFile& file : files_) {
    for (const TensorInfo& t : file.tensors()) names.push_back(t.name);
  }
  return names;
}

std::vector<std::string> TensorFiles::names_with_prefix(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto at = index_.lower_bound(prefix); at != index_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    names.push_back(at->first);
  }
  return names;
}

const SafetensorsFile& TensorFiles::file_of(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) {
    throw BadInput(path_, "", std::string("has no tensor \"").append(name) + "\"");
  }
  return files_[found->second];
}

}  // namespace qlora
