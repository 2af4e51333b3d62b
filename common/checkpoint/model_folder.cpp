#include "checkpoint/model_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/files.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// Which shard each tensor goes to: filled one after the other, as huggingface_hub's
// split_torch_state_dict_into_shards does. A tensor above the limit has a shard of its own.
std::vector<std::size_t> assign_shards(const std::vector<TensorInfo>& tensors, std::size_t limit) {
  std::vector<std::size_t> shard_of;
  std::size_t shard = 0;
  std::size_t filled = 0;
  for (const TensorInfo& t : tensors) {
    const std::size_t size = t.nbytes();
    if (filled > 0 && (filled > limit || size > limit - filled)) {
      ++shard;
      filled = 0;
    }
    filled += size;
    shard_of.push_back(shard);
  }
  return shard_of;
}

std::string five_digits(std::size_t n) {
  const std::string digits = std::to_string(n);
  return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
}

std::string shard_name(std::size_t shard, std::size_t count) {
  if (count == 1) return "model.safetensors";
  return "model-" + five_digits(shard + 1) + "-of-" + five_digits(count) + ".safetensors";
}

std::string in_lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// What belongs to the model whatever its weights are: its tokenizer, its templates and settings,
// its license. Logs, figures and rows are of a run, and a README speaks of the one model.
bool is_companion(const fs::path& file) {
  static constexpr std::array<std::string_view, 7> names{
      "added_tokens.json",       "chat_template.jinja", "chat_template.json", "merges.txt",
      "special_tokens_map.json", "vocab.json",          "vocab.txt"};
  static constexpr std::array<std::string_view, 5> beginnings{"tokenizer.", "license", "licence",
                                                              "notice", "use_policy"};
  static constexpr std::array<std::string_view, 3> ends{"_config.json", ".model", ".tiktoken"};
  const std::string name = in_lower_case(file.filename().string());
  const auto begins = [&](std::string_view part) { return name.starts_with(part); };
  const auto ends_in = [&](std::string_view part) { return name.ends_with(part); };
  return name != "adapter_config.json" &&
         (std::ranges::find(names, name) != names.end() ||
          std::ranges::any_of(beginnings, begins) || std::ranges::any_of(ends, ends_in));
}

}  // namespace

ModelFolder ModelFolder::open(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) throw BadInput(path, "", "is not a folder");
  ModelFolder folder;
  folder.path = path;
  folder.config = Json::read(path + "/config.json");
  if (!folder.config.is_object()) throw BadInput(path + "/config.json", "", "is not an object");
  folder.tensors = TensorFiles::open_folder(path);
  return folder;
}

ModelWriter::ModelWriter(const std::string& folder, const std::vector<TensorInfo>& tensors,
                         std::size_t shard_size)
    : folder_(folder) {
  const std::vector<std::size_t> assigned = assign_shards(tensors, shard_size);
  std::vector<std::vector<TensorInfo>> parts(assigned.empty() ? 1 : assigned.back() + 1);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const bool added = shard_of_.emplace(tensors[i].name, assigned[i]).second;
    require(added, "ModelWriter", "names that differ");
    parts[assigned[i]].push_back(tensors[i]);
    total_size_ += tensors[i].nbytes();
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    shard_names_.push_back(shard_name(i, parts.size()));
    shards_.push_back(
        std::make_unique<SafetensorsWriter>(folder + "/" + shard_names_[i], std::move(parts[i])));
  }
}

void ModelWriter::write(const std::string& name, const Tensor& tensor) {
  const auto found = shard_of_.find(name);
  require(found != shard_of_.end(), "ModelWriter::write", "a tensor that was announced");
  shards_[found->second]->write(name, tensor);
}

void ModelWriter::finish() {
  for (const auto& shard : shards_) shard->finish();
  if (shards_.size() == 1) return;
  Json index = Json::object();
  index["metadata"]["total_size"] = static_cast<std::int64_t>(total_size_);
  Json& weight_map = index["weight_map"];
  for (const auto& [name, shard] : shard_of_) weight_map[name] = shard_names_[shard];
  write_atomically(folder_ + "/model.safetensors.index.json", index.dump(2, true) + "\n");
}

void write_config(const std::string& folder, const Json& config) {
  write_atomically(folder + "/config.json", config.dump(2, true) + "\n");
}

void check_output_folder(const std::string& input, const std::string& output) {
  std::error_code error;
  if (fs::equivalent(input, output, error)) throw BadInput(output, "", "is the input itself");
  if (!fs::exists(output, error)) return;
  if (!fs::is_directory(output, error)) throw BadInput(output, "", "is not a folder");
  if (!fs::is_empty(output, error) || error) {
    throw BadInput(output, "", "is not empty: it will not be replaced, give another folder");
  }
}

std::optional<DType> dtype_of(const Json& config) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (const Json* dtype = config.find(key)) return dtype_from_python(dtype->as_string());
  }
  return std::nullopt;
}

Json unquantized_config(const ModelFolder& folder, std::optional<DType> dtype) {
  Json json = Json::object();
  for (const auto& [key, value] : folder.config.as_object()) {
    if (key != "quantization_config") json[key] = value;
  }
  if (dtype) {
    const char* key = json.find("torch_dtype") != nullptr ? "torch_dtype" : "dtype";
    json[key] = std::string(python_name(*dtype));
  }
  return json;
}

void copy_companions(const std::string& from, const std::string& to) {
  try {
    for (const auto& entry : fs::directory_iterator(from)) {
      if (!entry.is_regular_file() || !is_companion(entry.path())) continue;
      fs::copy_file(entry.path(), fs::path(to) / entry.path().filename());
    }
  } catch (const fs::filesystem_error& e) {
    throw BadInput(e.path1().string(), "", "cannot be copied: " + e.code().message());
  }
}

}  // namespace qlora
