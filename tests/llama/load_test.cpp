// What a folder's weights and its config.json say of each other.
#include "llama/load.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/json.h"
#include "support/golden.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::golden;
using testing::scratch;

// What load_model() says of a folder; "" if it loads.
std::string refusal(const std::string& folder) {
  try {
    load_model(folder);
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

// The model of three layers with config.json changed, and tensors beside its own.
template <typename F>
std::string changed(F&& change, const std::vector<std::string>& more = {}) {
  const fs::path folder = scratch() / "model";
  fs::remove_all(folder);
  fs::create_directories(folder);
  Json config = Json::read(golden("llama/a_fp32/config.json"));
  change(config);
  std::ofstream(folder / "config.json") << config.dump();
  const auto file = SafetensorsFile::open(golden("llama/a_fp32/model.safetensors"));
  NamedTensors tensors;
  for (const std::string& name : file.names()) tensors.emplace_back(name, file.tensor(name));
  for (const std::string& name : more) tensors.emplace_back(name, Tensor::zeros(DType::f32, {4}));
  write_safetensors((folder / "model.safetensors").string(), tensors);
  return folder.string();
}

void as_it_is(const Json&) {}

TEST(LoadModel, RefusesLayersThatItWouldNotRead) {
  const std::string said = refusal(changed([](Json& c) { c["num_hidden_layers"] = 2; }));
  EXPECT_NE(said.find("model.safetensors: model.layers.2."), std::string::npos) << said;
  EXPECT_NE(said.find("expected no such tensor: config.json says 2 layers of llama"),
            std::string::npos)
      << said;
}

TEST(LoadModel, RefusesTensorsThatNothingInALayerIs) {
  for (const std::string name :
       {"model.layers.1.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight",
        "model.layers.2.mlp.up_proj.weight.absmax", "model.layers.10.input_layernorm.weight"}) {
    const std::string said = refusal(changed(as_it_is, {name}));
    EXPECT_NE(said.find("model.safetensors: " + name + ": "), std::string::npos) << said;
  }
}

TEST(LoadModel, TakesWhatNobodyNeeds) {
  // Frequencies are computed, and a tied model's own head is its embedding once more.
  EXPECT_EQ(refusal(changed(as_it_is, {"model.layers.1.self_attn.rotary_emb.inv_freq",
                                       "model.rotary_emb.inv_freq", "lm_head.weight"})),
            "");
  // Codes have companions.
  for (const char* name : {"a", "a_int8", "b_fp4_nodq"}) {
    EXPECT_EQ(refusal(golden(std::string("llama_nf4/") + name)), "") << name;
  }
}

TEST(LoadModel, DoesNotPassAFormatOffAsAnother) {
  const auto refused = [](const std::string& folder, QuantType type, bool nested, bool int8) {
    LoadOptions options;
    options.int8 = int8;
    if (!int8) options.quantize = type;
    options.double_quant = nested;
    try {
      load_model(golden("llama_nf4/" + folder), options);
    } catch (const BadInput& e) {
      return std::string(e.what()).find("config.json: quantization_config: ") != std::string::npos;
    }
    return false;
  };
  EXPECT_FALSE(refused("a", QuantType::nf4, true, false));
  EXPECT_TRUE(refused("a", QuantType::nf4, false, false));
  EXPECT_TRUE(refused("a", QuantType::fp4, true, false));
  EXPECT_TRUE(refused("a", QuantType::nf4, false, true));
  EXPECT_FALSE(refused("a_int8", QuantType::nf4, false, true));
  EXPECT_TRUE(refused("a_int8", QuantType::nf4, false, false));
  EXPECT_FALSE(refused("b_fp4_nodq", QuantType::fp4, false, false));
}

TEST(LoadModel, NamesAnotherArchitectureBeforeItMissesTheWeights) {
  const std::string folder = changed([](Json& c) { c["model_type"] = "qwen2"; });
  fs::remove(folder + "/model.safetensors");
  const std::string said = refusal(folder);
  EXPECT_NE(said.find("config.json: model_type: found \"qwen2\""), std::string::npos) << said;
}

}  // namespace
}  // namespace qlora
