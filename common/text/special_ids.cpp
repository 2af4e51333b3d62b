#include "text/special_ids.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/json.h"

namespace qlora {
namespace {

using Id = std::optional<std::int32_t>;

Json read_if_there(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? Json::read(path) : Json::object();
}

// A token is a string, or an object with its content.
Id of_token(const Json& config, const char* key, const std::vector<AddedToken>& tokens) {
  const Json* value = config.find(key);
  if (value == nullptr) return std::nullopt;
  const std::string& content = (value->is_object() ? value->at("content") : *value).as_string();
  const auto token = std::find_if(tokens.begin(), tokens.end(),
                                  [&](const AddedToken& t) { return t.content == content; });
  if (token == tokens.end()) value->reject("an added token of the tokenizer");
  return token->id;
}

Id of_id(const Json& config, const char* key, std::int32_t vocab_size) {
  const Json* value = config.find(key);
  if (value != nullptr && value->is_array()) value = value->size() > 0 ? &value->at(0) : nullptr;
  if (value == nullptr) return std::nullopt;
  const std::int64_t id = value->as_integer();
  if (id == -1) return std::nullopt;
  if (id < 0 || id >= vocab_size) {
    value->reject("-1 or an id below " + std::to_string(vocab_size));
  }
  return static_cast<std::int32_t>(id);
}

}  // namespace

void read_special_ids(const std::string& model_folder, const std::vector<AddedToken>& tokens,
                      std::int32_t vocab_size, TokenizerModel::SpecialIds& ids) {
  const Json config = read_if_there(model_folder + "/tokenizer_config.json");
  const Json generation = read_if_there(model_folder + "/generation_config.json");
  const auto read = [&](const char* token_key, const char* id_key, Id& id) {
    if (const Id found = of_token(config, token_key, tokens)) {
      id = found;
    } else if (const Id other = of_id(generation, id_key, vocab_size)) {
      id = other;
    }
  };
  read("bos_token", "bos_token_id", ids.bos);
  read("eos_token", "eos_token_id", ids.eos);
  read("pad_token", "pad_token_id", ids.pad);
}

TextEnds read_text_ends(const std::string& model_folder) {
  TextEnds ends;
  if (model_folder.empty()) return ends;
  const Json config = read_if_there(model_folder + "/tokenizer_config.json");
  if (const Json* bos = config.find("add_bos_token")) ends.add_bos_token = bos->as_bool();
  if (const Json* eos = config.find("add_eos_token")) ends.add_eos_token = eos->as_bool();
  return ends;
}

}  // namespace qlora
