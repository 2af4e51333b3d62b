// The module tree against what transformers, PEFT and bitsandbytes print of models of the same
// config.json: tests/llama/module_trees.json, whose member `source` names their versions.
#include "llama/module_tree.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "llama/load.h"

namespace qlora {
namespace {

const Json& trees() {
  static const Json file = Json::read(QLORA_SOURCE_DIR "/tests/llama/module_trees.json");
  return file;
}

std::optional<BitsAndBytesConfig> quantization_in(const Json& config) {
  const Json* json = config.find("quantization_config");
  if (json == nullptr) return std::nullopt;
  return BitsAndBytesConfig::from_json(*json, "config.json");
}

NamedLora adapter_of(const Json& json) {
  NamedLora adapter{json.at("name").as_string(), {}};
  LoraConfig& c = adapter.config;
  c.r = json.at("r").as_integer();
  if (const Json* p = json.find("lora_dropout")) c.lora_dropout = p->as_number();
  if (const Json* dora = json.find("use_dora")) c.use_dora = dora->as_bool();
  std::vector<std::string> names;
  for (const Json& name : json.at("target_modules").as_array()) names.push_back(name.as_string());
  c.target_modules = names;
  if (const Json* layers = json.find("layers_to_transform")) {
    c.layers_to_transform.emplace();
    for (const Json& l : layers->as_array()) c.layers_to_transform->push_back(l.as_integer());
  }
  return adapter;
}

std::string expected(const Json& test_case) {
  std::string text;
  for (const Json& line : test_case.at("printed").as_array()) text += line.as_string() + "\n";
  return text;
}

const Json& case_of(const std::string& name) {
  for (const Json& one : trees().at("cases").as_array()) {
    if (one.at("name").as_string() == name) return one;
  }
  throw std::invalid_argument("no case " + name);
}

TEST(ModuleTree, IsThatOfTransformersAndPeft) {
  std::size_t cases = 0;
  for (const Json& one : trees().at("cases").as_array()) {
    SCOPED_TRACE(one.at("name").as_string());
    std::vector<NamedLora> adapters;
    for (const Json& adapter : one.at("adapters").as_array())
      adapters.push_back(adapter_of(adapter));
    const Json& config = one.at("config");
    EXPECT_EQ(module_tree(config, quantization_in(config), adapters), expected(one));
    ++cases;
  }
  EXPECT_EQ(cases, 17u);
}

// The course's tree leaves out rotary_emb, the names in_features and out_features, and eps.
TEST(ModuleTree, OfTheCourseModelByItsName) {
  const std::string tree = module_tree(to_json(named_config("llama-3.2-3b")), std::nullopt);
  EXPECT_EQ(tree, expected(case_of("llama-3.2-3b")));
  for (const char* line : {"(rotary_emb): LlamaRotaryEmbedding()", "eps=1e-05",
                           "(0-27): 28 x LlamaDecoderLayer(", "(act_fn): SiLUActivation()"}) {
    EXPECT_NE(tree.find(line), std::string::npos) << line;
  }
}

TEST(ModuleTree, RefusesWhatItDoesNotKnow) {
  Json config = case_of("mistral").at("config");
  config["model_type"] = "gpt2";
  EXPECT_THROW(module_tree(config, std::nullopt), BadInput);
  config["model_type"] = "mistral";
  config["hidden_act"] = "relu";
  EXPECT_THROW(module_tree(config, std::nullopt), BadInput);
  config["hidden_act"] = "silu";
  NamedLora nowhere{"default", {}};
  nowhere.config.target_modules = std::vector<std::string>{"c_attn"};
  EXPECT_THROW(module_tree(config, std::nullopt, std::span(&nowhere, 1)), UsageError);
}

}  // namespace
}  // namespace qlora
