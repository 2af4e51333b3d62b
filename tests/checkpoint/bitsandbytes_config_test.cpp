#include <gtest/gtest.h>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

using testing::golden;

std::string config_says(const std::string& quantization_config) {
  return testing::bad_input([&] {
    BitsAndBytesConfig::from_json(Json::parse(quantization_config, "config.json"), "config.json");
  });
}

TEST(BitsAndBytesConfig, HasTheDefaultsOfTransformers) {
  const BitsAndBytesConfig config =
      BitsAndBytesConfig::from_json(Json::parse(R"({"load_in_4bit": true})", "f"), "f");
  EXPECT_EQ(config.quant_type, QuantType::fp4);
  EXPECT_FALSE(config.use_double_quant);
  EXPECT_EQ(config.compute_dtype, DType::f32);
  EXPECT_FALSE(config.skip_modules);
}

TEST(BitsAndBytesConfig, RefusesOtherMethods) {
  EXPECT_NE(config_says(R"({"quant_method": "gptq", "bits": 4})").find("found \"gptq\""),
            std::string::npos);
  EXPECT_NE(config_says(R"({"load_in_8bit": true, "llm_int8_threshold": 5.0})").find("found 5"),
            std::string::npos);
  EXPECT_NE(config_says(R"({"load_in_8bit": true, "load_in_4bit": true})")
                .find("load_in_4bit: found true, expected false beside load_in_8bit"),
            std::string::npos);
  EXPECT_NE(config_says(R"({})").find("load_in_4bit: found nothing, expected true"),
            std::string::npos);
  EXPECT_NE(config_says(R"({"load_in_4bit": 1})").find("true or false"), std::string::npos);
  EXPECT_NE(config_says(R"({"load_in_4bit": true, "bnb_4bit_quant_type": "int4"})")
                .find("bnb_4bit_quant_type: found \"int4\""),
            std::string::npos);
  EXPECT_NE(config_says(R"({"load_in_4bit": true, "bnb_4bit_compute_dtype": "float64"})")
                .find("bnb_4bit_compute_dtype"),
            std::string::npos);
  EXPECT_NE(
      config_says(R"({"load_in_4bit": true, "llm_int8_skip_modules": "lm_head"})").find("an array"),
      std::string::npos);
}

TEST(BitsAndBytesConfig, MustAgreeWithTheWeights) {
  const auto says = [](const char* weights, const std::string& config) {
    ModelFolder folder;
    folder.path = "M";
    folder.config = Json::parse(config, "M/config.json");
    folder.tensors = TensorFiles::open_folder(golden(weights));
    return testing::bad_input([&] { quantization_of(folder); });
  };
  const std::string nf4 = R"("load_in_4bit": true, "bnb_4bit_quant_type": "nf4")";
  const std::string dq = R"(, "bnb_4bit_use_double_quant": true)";
  EXPECT_EQ(says("llama_nf4/a", R"({"quantization_config": {)" + nf4 + dq + "}}"), "");
  EXPECT_EQ(says("llama/a_fp32", "{}"), "");
  EXPECT_NE(says("llama_nf4/a", "{}").find("is stored in 4 bits"), std::string::npos);
  EXPECT_NE(says("llama/a_fp32", R"({"quantization_config": {)" + nf4 + "}}").find("no weight"),
            std::string::npos);
  EXPECT_NE(says("llama_nf4/a", R"({"quantization_config": {)" + nf4 + "}}")
                .find("says nf4 without double quantization"),
            std::string::npos);
  EXPECT_NE(says("llama_nf4/a", R"({"quantization_config": {"load_in_4bit": true)" + dq + "}}")
                .find("says fp4 with"),
            std::string::npos);
}

TEST(BitsAndBytesConfig, QuantizesDecoderLinearsOnly) {
  const ModelFolder folder = ModelFolder::open(golden("llama_nf4/b_fp4_nodq"));
  const ModelFolder plain = ModelFolder::open(golden("llama/b_fp32"));
  for (const std::string& name : plain.tensors.names()) {
    EXPECT_EQ(is_quantizable(plain.tensors.info(name), {}), is_stored_in_4bit(folder.tensors, name))
        << name;
  }
  EXPECT_FALSE(is_quantizable({"model.layers.10.mlp.up_proj.bias", DType::f32, {2, 2}}, {}));
}

// transformers 5.23: should_convert_module, whose comment gives these cases.
TEST(BitsAndBytesConfig, EntriesAreBeginningsPatternsOrEnds) {
  const auto skips = [](const char* entry, const std::string& module) {
    BitsAndBytesConfig config;
    config.skip_modules = {"lm_head", entry};
    return !is_quantizable({module + ".weight", DType::f32, {2, 2}}, config);
  };
  EXPECT_TRUE(skips("model.layers.1", "model.layers.1.mlp.down_proj"));
  EXPECT_FALSE(skips("model.layers.1", "model.layers.11.mlp.down_proj"));
  EXPECT_TRUE(skips("model.layers.*", "model.layers.11.mlp.up_proj"));
  EXPECT_TRUE(skips("model.layers.(1|2)", "model.layers.2.mlp.up_proj"));
  EXPECT_FALSE(skips("model.layers.0.mlp.up", "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(skips("model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(skips("up_proj", "model.layers.3.mlp.up_proj"));
  EXPECT_FALSE(skips("mlp.up", "model.layers.3.mlp.up_proj"));
  EXPECT_NE(config_says(R"({"load_in_4bit": true, "llm_int8_skip_modules": ["up_(proj"]})")
                .find("llm_int8_skip_modules: the pattern"),
            std::string::npos);
}

}  // namespace
}  // namespace qlora
