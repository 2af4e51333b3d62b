// The course's configurations as files, each of which trains.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "12_qlora_finetuning/claims.h"
#include "checkpoint/peft_adapter.h"
#include "checkpoint/safetensors.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"
#include "training/trainer.h"

namespace qlora::chapter12 {
namespace {

namespace fs = std::filesystem;
using testing::scratch;

// A folder with random weights of this shape and the embedded tokenizer, as the family has them.
std::string tiny_folder(const std::string& model_type) {
  const fs::path folder = scratch() / model_type;
  if (fs::exists(folder)) return folder;
  fs::create_directories(folder);
  LlamaConfig c = llama_config(Json::parse(
      R"({"model_type": ")" + model_type + R"(", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": )" +
          (model_type == "gemma" ? "1" : "4") + R"(, "head_dim": 16, "intermediate_size": 128,
        "vocab_size": 2048, "bos_token_id": 1, "eos_token_id": 2})",
      "config.json"));
  save_model(folder, random_model(c, 12), DType::f32);
  for (const char* file : {"tokenizer.model", "tokenizer_config.json"}) {
    if (fs::exists(fs::path(QLORA_TINY_LLAMA) / file)) {
      fs::copy(fs::path(QLORA_TINY_LLAMA) / file, folder / file);
    }
  }
  return folder;
}

struct CourseFile {
  const char* name;
  Configuration CourseInputs::* configuration;
  const char* model_type;  // "": the embedded model
};

std::string path_of(const std::string& name) {
  return QLORA_SOURCE_DIR "/chapters/12_qlora_finetuning/configs/" + name + ".json";
}

std::string rows_file() {
  const std::string path = scratch() / "rows.jsonl";
  std::ofstream file(path);
  for (int i = 0; i < 40; ++i) {
    file << R"({"prompt": "How much does item )" << i << R"( cost? Price is $", "completion": ")"
         << 3 * i << "\"}\n";
  }
  return path;
}

// Trains two steps with a configuration on the CPU.
testing::Ended train(const std::string& config, const std::string& model,
                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{QLORA_BIN "/ch12_qlora_finetuning",
                                     "train",
                                     "--config",
                                     config,
                                     "--model",
                                     model,
                                     "--data",
                                     rows_file(),
                                     "--max-steps",
                                     "2",
                                     "--device",
                                     "cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return testing::run_process(arguments, scratch().string(), 120);
}

testing::Ended train_out(const CourseFile& f) {
  const std::string model = *f.model_type == '\0' ? QLORA_TINY_LLAMA : tiny_folder(f.model_type);
  return train(path_of(f.name), model, {"--output-dir", (scratch() / "out").string()});
}

const CourseFile kFiles[] = {{"basic", &CourseInputs::basic, ""},
                             {"price_lite", &CourseInputs::lite, ""},
                             {"price_full", &CourseInputs::full, ""},
                             {"gemma_2b", &CourseInputs::gemma, "gemma"},
                             {"llama_2_7b_chat", &CourseInputs::llama2, "llama"}};

// Two steps each: the adapter's configuration is the course's, and the base's format too.
TEST(CourseConfigurations, EachTrains) {
  const CourseInputs in;
  for (const CourseFile& f : kFiles) {
    SCOPED_TRACE(f.name);
    fs::remove_all(scratch() / "out");
    const testing::Ended ended = train_out(f);
    ASSERT_TRUE(ended.ok()) << ended.output;
    const Configuration& course = in.*f.configuration;
    const PeftAdapter adapter = read_adapter((scratch() / "out").string());
    EXPECT_EQ(adapter.config.r, course.lora.r);
    EXPECT_EQ(adapter.config.lora_alpha, course.lora.lora_alpha);
    EXPECT_EQ(adapter.config.lora_dropout, course.lora.lora_dropout);
    EXPECT_EQ(adapter.config.base_model_name_or_path, course.base.name);
    // A and B of every module that the course's targets name.
    const Json config = Json::read(
        (*f.model_type == '\0' ? std::string(QLORA_TINY_LLAMA) : tiny_folder(f.model_type)) +
        "/config.json");
    const ModelShapes shapes = model_shapes(config);
    EXPECT_EQ(SafetensorsFile::open(scratch() / "out/adapter_model.safetensors").tensors().size(),
              2 * adapter_shapes(course.lora, stacked(shapes.layer, shapes.layers)).size());
    const bool twice = ended.output.find("nf4 with double quantization") != std::string::npos;
    EXPECT_NE(ended.output.find("base: nf4"), std::string::npos) << ended.output;
    EXPECT_EQ(twice, course.double_quant);
  }
}

TEST(CourseConfigurations, RankAndAlphaAreSetBeforeTheRunAndStay) {
  const testing::Ended ended = train_out(kFiles[4]);
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json config = Json::read(scratch() / "out/adapter_config.json");
  EXPECT_EQ(config.at("r").as_integer(), 64);
  EXPECT_EQ(config.at("lora_alpha").as_number(), 16);
  EXPECT_EQ(config.at("target_modules").size(), 2u);  // PEFT's default for Llama: q_proj, v_proj
}

TEST(CourseConfigurations, TheTrainingArgumentsAreTheCourses) {
  const testing::Ended ended = train_out(kFiles[0]);
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json state = Json::read(scratch() / "out/trainer_state.json");
  EXPECT_EQ(state.at("train_batch_size").as_integer(), 4);
  EXPECT_EQ(state.at("logging_steps").as_integer(), 10);
  const Json resume = Json::read(scratch() / "out/checkpoint-2/resume.json");
  EXPECT_EQ(resume.at("settings").at("learning_rate").as_number(), 2e-4);
  EXPECT_EQ(resume.at("settings").at("gradient_accumulation_steps").as_integer(), 4);
}

TEST(CourseConfigurations, TheRunsNameHoldsItsTime) {
  const testing::Ended ended = train(path_of("price_lite"), QLORA_TINY_LLAMA);
  ASSERT_TRUE(ended.ok()) << ended.output;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(scratch() / "runs")) {
    names.push_back(entry.path().filename());
  }
  ASSERT_EQ(names.size(), 1u);
  EXPECT_TRUE(names[0].starts_with("price-20")) << names[0];
  EXPECT_TRUE(names[0].ends_with("-lite")) << names[0];
  EXPECT_EQ(names[0].find('%'), std::string::npos) << names[0];
  EXPECT_EQ(names[0].size(), std::string("price-2025-11-30_15.10.55-lite").size());
}

TEST(CourseConfigurations, DeviceMapAutoIsTheOneDevice) {
  EXPECT_TRUE(train(path_of("gemma_2b"), tiny_folder("gemma"), {"--device-map", "auto"}).ok());
  const testing::Ended ended =
      train(path_of("gemma_2b"), tiny_folder("gemma"), {"--device-map", "balanced"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_NE(ended.output.find("--device-map is not supported but as auto"), std::string::npos)
      << ended.output;
}

TEST(CourseConfigurations, QuantizationIsBitsAndBytesConfigs) {
  const auto base = [](const std::string& json, const std::vector<std::string>& more = {}) {
    const std::string config = scratch() / "quantization.json";
    std::ofstream(config) << json;
    const testing::Ended ended = train(config, tiny_folder("llama"), more);
    const std::size_t begin = ended.output.find("base: ");
    return ended.ok() ? ended.output.substr(begin + 6, ended.output.find(';', begin) - begin - 6)
                      : std::to_string(ended.exit_code);
  };
  EXPECT_EQ(base(R"({"load_in_4bit": true})"), "fp4");  // transformers' own default
  EXPECT_EQ(base(R"({"load_in_8bit": true})"), "int8");
  EXPECT_EQ(base("{}"), "nf4 with double quantization");
  EXPECT_EQ(base(R"({"load_in_4bit": true})", {"--quantize", "none"}), "float32");
  EXPECT_EQ(base(R"({"load_in_4bit": true, "load_in_8bit": true})"), "2");
  EXPECT_EQ(base(R"({"bnb_4bit_quant_type": "nf4"})"), "2");
}

// The embedded model in NF4 with fresh adapters on q and v.
LlamaModel adapted_model() {
  LlamaModel model = load_model(QLORA_TINY_LLAMA, {QuantType::nf4, true, false});
  attach_lora(model, LoraConfig(), 3);
  return model;
}

TEST(CourseConfigurations, TheBaseIsInFourBitsAndTheAdaptersAreNot) {
  const LlamaModel model = adapted_model();
  model.for_each_projection([](const LinearGroup& group, const Projection& p) {
    ASSERT_TRUE(p.quantized) << p.name;
    EXPECT_EQ(p.quantized->packed.dtype(), DType::u8) << p.name;
    EXPECT_EQ(2 * p.quantized->packed.numel(), p.N * group.K) << p.name;
    for (const Adapter& a : p.adapters) {
      EXPECT_EQ(a.A.dtype(), DType::f32) << p.name;
      EXPECT_EQ(a.B.dtype(), DType::f32) << p.name;
    }
  });
  // And so in the adapter's file.
  ASSERT_TRUE(train_out(kFiles[0]).ok());
  const auto file = SafetensorsFile::open(scratch() / "out/adapter_model.safetensors");
  for (const TensorInfo& tensor : file.tensors()) EXPECT_EQ(tensor.dtype, DType::f32);
}

// Every tensor of the base, and of the adapters.
std::vector<Tensor> copies(const LlamaModel& model, bool of_base) {
  std::vector<Tensor> all;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    if (of_base && p.quantized) {
      all.push_back(p.quantized->packed.clone());
      all.push_back(p.quantized->absmax.clone());
    }
    for (const Adapter& a : p.adapters) {
      if (!of_base) all.push_back(a.B.clone());
    }
  });
  if (of_base) all.push_back(model.embed_tokens.clone());
  return all;
}

TEST(CourseConfigurations, OnlyTheAdaptersMove) {
  LlamaModel model = adapted_model();
  const std::vector<Tensor> base = copies(model, true), fresh = copies(model, false);
  const std::vector<TokenizedExample> rows(4, {{5, 6, 7, 8, 9}, {5, 6, 7, 8, 9}});
  TrainingArguments arguments;
  arguments.max_steps = 2;
  arguments.learning_rate = 1e-2;
  arguments.save_strategy = SaveStrategy::no;
  TrainingTask task{model, adapter_parameters(model), rows, {}, 0, arguments, "", {}};
  train(task);
  const std::vector<Tensor> base_after = copies(model, true), tuned = copies(model, false);
  ASSERT_EQ(base.size(), 2u * 6 * 7 + 1);
  for (std::size_t i = 0; i < base.size(); ++i) {
    EXPECT_TRUE(testing::same_bytes(base_after[i], base[i])) << i;
  }
  ASSERT_EQ(tuned.size(), 2u * 6);
  for (std::size_t i = 0; i < tuned.size(); ++i) {
    EXPECT_FALSE(testing::same_bytes(tuned[i], fresh[i])) << i;
  }
}

}  // namespace
}  // namespace qlora::chapter12
