#include "checkpoint/peft_adapter.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/files.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::golden;
using testing::same_bytes;
using testing::scratch;
using testing::write_text;

const char* const kAdapters[] = {"qlora/adapter_std",         "qlora/adapter_nonzero",
                                 "qlora/adapter_std_trained", "qlora/adapter_nonzero_trained",
                                 "variants/rslora",           "variants/dora",
                                 "variants/patterns",         "variants/one_layer",
                                 "variants/multi/first",      "variants/multi/second",
                                 "variants/multi/third",      "variants/multi/mix_cat",
                                 "variants/multi/mix_linear"};

TEST(PeftAdapter, IsWrittenAsItWasRead) {
  for (const char* name : kAdapters) {
    const std::string folder = golden(name);
    const std::string out = (scratch() / name).string();
    write_adapter(out, read_adapter(folder));
    EXPECT_TRUE(read_file(out + "/adapter_model.safetensors") ==
                read_file(folder + "/adapter_model.safetensors"))
        << name;
    // layers_to_transform is a list in the file whether it was one number or a list: here a list.
    EXPECT_EQ(read_file(out + "/adapter_config.json"), read_file(folder + "/adapter_config.json"))
        << name;
  }
}

TEST(PeftAdapter, ReadsConfigAndMatrices) {
  const PeftAdapter adapter = read_adapter(golden("variants/patterns"));
  EXPECT_EQ(adapter.config.r, 4);
  EXPECT_EQ(adapter.config.rank_pattern, (std::vector<std::pair<std::string, std::int64_t>>{
                                             {"layers.2.self_attn.q_proj", 6}, {"v_proj", 2}}));
  EXPECT_EQ(adapter.config.alpha_pattern,
            (std::vector<std::pair<std::string, double>>{{"v_proj", 3.0}}));
  EXPECT_EQ(adapter.config.base_model_name_or_path, "golden/llama/a_fp32");
  ASSERT_EQ(adapter.modules.size(), 9u);
  for (const LoraModule& m : adapter.modules) {
    const std::int64_t r = r_of(adapter.config, m.module);
    EXPECT_EQ(m.A.dim(0), r) << m.module;
    EXPECT_EQ(m.B.dim(1), r) << m.module;
  }
  EXPECT_EQ(adapter.modules.front().module, "model.layers.0.mlp.up_proj");
  const auto last = adapter.modules.end() - 2;
  EXPECT_EQ(last->module, "model.layers.2.self_attn.q_proj");
  EXPECT_EQ(last->A.shape(), (Shape{6, 64}));
}

TEST(PeftAdapter, DoraHasAMagnitudeARow) {
  const PeftAdapter adapter = read_adapter(golden("variants/dora"));
  EXPECT_TRUE(adapter.config.use_dora);
  for (const LoraModule& m : adapter.modules) {
    EXPECT_EQ(m.magnitude.shape(), (Shape{m.B.dim(0)})) << m.module;
  }
}

LoraConfig config_of(const std::string& json) {
  return lora_config_from_json(Json::parse(json, "c.json"), "c.json");
}

TEST(PeftConfig, OnlyPeftTypeIsIndispensable) {
  const LoraConfig config = config_of(R"({"peft_type": "LORA"})");
  EXPECT_EQ(config.r, 8);
  EXPECT_EQ(config.lora_alpha, 8.0);
  EXPECT_EQ(config.lora_dropout, 0.0);
  EXPECT_FALSE(config.use_rslora);
  EXPECT_FALSE(config.target_modules);
  EXPECT_BAD_INPUT(config_of("{}"), "\"peft_type\" is missing");
  EXPECT_BAD_INPUT(config_of(R"({"peft_type": "LOHA"})"), "peft_type: found \"LOHA\"");
}

TEST(PeftConfig, TakesTheFormsThatPeftTakes) {
  const LoraConfig config = config_of(
      R"({"peft_type": "LORA", "target_modules": "all-linear", "r": 16, "lora_alpha": 0.5,)"
      R"("unknown_but_off": null, "another": false, "a_third": [], "merge_weights": false})");
  EXPECT_EQ(config.target_modules, NamesOrPattern("all-linear"));
  EXPECT_EQ(lora_config_to_json(config).at("lora_alpha").as_number(), 0.5);
  const LoraConfig layers =
      config_of(R"({"peft_type": "LORA", "target_modules": ["k"], "layers_to_transform": 3,)"
                R"("layers_pattern": ["layers", "h"], "exclude_modules": "lm_head"})");
  EXPECT_EQ(layers.layers_to_transform, std::vector<std::int64_t>{3});
  EXPECT_EQ(lora_config_to_json(layers).at("layers_pattern").size(), 2u);
}

TEST(PeftConfig, RefusesFeaturesByName) {
  const auto expect = [](const std::string& member, const char* field) {
    EXPECT_BAD_INPUT(config_of(R"({"peft_type": "LORA", )" + member + "}"),
                     std::string("c.json: ") + field);
  };
  expect(R"("bias": "all")", "bias");
  expect(R"("bias": "lora_only")", "bias");
  expect(R"("modules_to_save": ["lm_head"])", "modules_to_save");
  expect(R"("trainable_token_indices": [1])", "trainable_token_indices");
  expect(R"("layer_replication": [[0, 4]])", "layer_replication");
  expect(R"("fan_in_fan_out": true)", "fan_in_fan_out");
  expect(R"("lora_bias": true)", "lora_bias");
  expect(R"("target_parameters": ["x"])", "target_parameters");
  expect(R"("megatron_config": {"a": 1})", "megatron_config");
  expect(R"("loftq_config": {"loftq_bits": 4})", "loftq_config");
  expect(R"("init_lora_weights": "pissa")", "init_lora_weights");
  expect(R"("use_qalora": true)", "use_qalora");
  expect(R"("r": 0)", "r is 0");
  expect(R"("r": 8.5)", "r: found 8.5");
  expect(R"("r": "8")", "r: found");
  expect(R"("lora_dropout": 1.5)", "lora_dropout is 1.5");
  expect(R"("rank_pattern": {"q": -1})", "rank_pattern: q");
  expect(R"("rank_pattern": [])", "rank_pattern: found");
  expect(R"("target_modules": 3)", "target_modules: found");
  expect(R"("target_modules": "q", "layers_to_transform": [1])", "layers_to_transform");
  expect(R"("target_modules": ["q"], "layers_pattern": "h")", "layers_pattern");
}

TEST(PeftConfig, SettingsOfNoKnownNameAreLeftOut) {
  const Json json = Json::parse(
      R"({"peft_type": "LORA", "r": 4, "a_feature_of_tomorrow": 3, "megatron_core": "m",
          "unknown_but_off": null, "another": [1]})",
      "c.json");
  EXPECT_EQ(unknown_settings(json), (std::vector<std::string>{"a_feature_of_tomorrow", "another"}));
  EXPECT_EQ(lora_config_from_json(json, "c.json").r, 4);
}

// A small adapter of one module, to be spoiled.
NamedTensors small() {
  const std::string name = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
  return {{name + "A.weight", Tensor::zeros(DType::f32, {2, 6})},
          {name + "B.weight", Tensor::zeros(DType::f32, {4, 2})}};
}

PeftAdapter read_small(const NamedTensors& tensors, const std::string& members = R"("r": 2)") {
  const std::string folder = scratch().string();
  write_text(folder + "/adapter_config.json", R"({"peft_type": "LORA", )" + members + "}");
  write_safetensors(folder + "/adapter_model.safetensors", tensors);
  return read_adapter(folder);
}

TEST(PeftAdapter, RefusesTensorsThatDoNotFit) {
  EXPECT_EQ(read_small(small()).modules.size(), 1u);
  const std::string q = "base_model.model.model.layers.0.self_attn.q_proj.";
  const auto replaced = [&](std::size_t i, const Tensor& tensor) {
    NamedTensors tensors = small();
    tensors[i].second = tensor;
    return tensors;
  };
  const auto added = [&](const std::string& name) {
    NamedTensors tensors = small();
    tensors.emplace_back(name, Tensor::zeros(DType::f32, {2}));
    return tensors;
  };
  EXPECT_BAD_INPUT(read_small({small()[0]}), q + "lora_B.weight: is missing");
  EXPECT_BAD_INPUT(read_small({small()[1]}), q + "lora_A.weight: is missing");
  EXPECT_BAD_INPUT(read_small({}), "holds no adapter");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 4)"), "adapter_config.json says r = 4");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 2, "rank_pattern": {"q_proj": 3})"), "says r = 3");
  EXPECT_BAD_INPUT(read_small(replaced(1, Tensor::zeros(DType::f32, {4, 3}))),
                   "lora_B.weight: has");
  EXPECT_BAD_INPUT(read_small(replaced(0, Tensor::zeros(DType::f32, {2}))), "a matrix");
  EXPECT_BAD_INPUT(read_small(replaced(0, Tensor::zeros(DType::i32, {2, 6}))), "floating-point");
  EXPECT_BAD_INPUT(read_small(added(q + "lora_magnitude_vector")),
                   "is a magnitude of DoRA, but adapter_config.json says use_dora = false");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 2, "use_dora": true)"),
                   q + "lora_magnitude_vector: is missing");
  EXPECT_BAD_INPUT(read_small(added(q + "lora_magnitude_vector"), R"("r": 2, "use_dora": true)"),
                   "expected 4 lengths");
  EXPECT_BAD_INPUT(read_small(added(q + "lora_B.bias")), "a bias of lora_bias");
  EXPECT_BAD_INPUT(read_small(added("base_model.model.lm_head.weight")), "modules_to_save");
  EXPECT_BAD_INPUT(read_small(added("base_model.model.model.embed_tokens.lora_embedding_A")),
                   "an adapter of an embedding");
  EXPECT_BAD_INPUT(read_small(added("model.layers.1.q_proj.lora_A.weight")), "expected base_model");
  EXPECT_BAD_INPUT(read_small(added("base_model.model.lora_A.weight")), "names no module");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 2, "target_modules": ["k_proj"])"),
                   "is not among adapter_config.json's target_modules");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 2, "target_modules": "(q_proj")"),
                   "adapter_config.json: the pattern \"(q_proj\" cannot be used");
  EXPECT_BAD_INPUT(read_small(small(), R"("r": 2, "rank_pattern": {"(": 3})"), "cannot be used");
  EXPECT_BAD_INPUT(read_adapter("/nowhere"), "/nowhere/adapter_config.json");
}

TEST(PeftAdapter, SaysOnceAFolderWhatIsLeftOut) {
  const std::string file = scratch().string() + "/adapter_config.json";
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) read_small(small(), R"("r": 2, "of_tomorrow": 3, "another": true)");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            file + ": left out, as not known: \"of_tomorrow\", \"another\"\n");
}

TEST(PeftAdapter, KeepsSixteenBitWeights) {
  NamedTensors tensors = small();
  for (auto& t : tensors) t.second = t.second.to(DType::bf16);
  const PeftAdapter adapter = read_small(tensors);
  EXPECT_EQ(adapter.modules[0].A.dtype(), DType::bf16);
}

TEST(PeftAdapter, AnAdapterOfAnotherBaseIsRefused) {
  const PeftAdapter adapter = read_adapter(golden("variants/multi/second"));
  LinearModules base;
  for (int i = 0; i < 3; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".self_attn.";
    base[layer + "q_proj"] = {64, 64};
    base[layer + "k_proj"] = {32, 64};
    base[layer + "v_proj"] = {32, 64};
  }
  EXPECT_NO_THROW(check_fits(adapter, base));

  LinearModules other = base;
  other["model.layers.1.self_attn.v_proj"] = {64, 64};
  EXPECT_BAD_INPUT(check_fits(adapter, other),
                   "model.layers.1.self_attn.v_proj: is 64 in, 32 out; in the base model 64 in, "
                   "64 out: the adapter was made for golden/llama/a_fp32");
  other = base;
  other.erase("model.layers.2.self_attn.q_proj");
  EXPECT_BAD_INPUT(check_fits(adapter, other), "the base model has no such linear module");
  other = base;
  other["model.layers.3.self_attn.q_proj"] = {64, 64};
  EXPECT_BAD_INPUT(check_fits(adapter, other), "of which the adapter has no weights");
}

TEST(PeftAdapter, WritesIntoAFolderThatHoldsOtherFiles) {
  const std::filesystem::path folder = scratch() / "a" / "b";
  const PeftAdapter adapter = read_adapter(golden("variants/rslora"));
  write_adapter(folder.string(), adapter);
  write_text((folder / "notes.txt").string(), "kept");
  write_adapter(folder.string(), adapter);
  EXPECT_EQ(read_file((folder / "notes.txt").string()), "kept");
  EXPECT_TRUE(read_adapter(folder.string()).config.use_rslora);
  EXPECT_BAD_INPUT(write_adapter("/proc/nowhere/a", adapter), "cannot be made a folder");
}

}  // namespace
}  // namespace qlora
