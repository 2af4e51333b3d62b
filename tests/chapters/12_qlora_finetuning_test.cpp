// Chapter 12's claims: they hold for the course's inputs, and follow other inputs; and the course's
// configurations, each of which trains.
#include "12_qlora_finetuning/claims.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "chapters/chapter_claims.h"
#include "checkpoint/peft_adapter.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"
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

constexpr testing::ChapterClaims<CourseInputs> kClaims{"12_qlora_finetuning"};

TEST(Chapter12, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter12, ConfigurationsFollowTheirInputs) {
  kClaims.expect_follow({"QL-02"}, [](CourseInputs& in) {
    in.quantization = R"({"quant_method": "bitsandbytes", "load_in_4bit": true})";
  });
  kClaims.expect_follow({"QL-03"}, [](CourseInputs& in) { in.basic.lora.lora_alpha = 16; });
  kClaims.expect_follow({"QL-05", "QL-06", "QL-27"},
                        [](CourseInputs& in) { in.gemma.base = llama_2_7b(); });
  kClaims.expect_follow({"QL-06", "QL-07"}, [](CourseInputs& in) { in.gemma.lora.r = 16; });
  kClaims.expect_follow({"QL-10", "QL-19"}, [](CourseInputs& in) { in.lite.lora.r = 8; });
  kClaims.expect_follow({"QL-11", "QL-14"}, [](CourseInputs& in) { in.llama2.base = llama_3b(); });
  kClaims.expect_follow({"QL-13"}, [](CourseInputs& in) { in.llama2.lora.lora_alpha = 128; });
  kClaims.expect_follow({"QL-15"}, [](CourseInputs& in) { in.batch_size = 4; });
  kClaims.expect_follow({"QL-15"}, [](CourseInputs& in) { in.samples = 20000; });
}

TEST(Chapter12, NamesFollowTheirInputs) {
  kClaims.expect_follow({"QL-25"}, [](CourseInputs& in) { in.deepseek = in.phi; });
  kClaims.expect_follow({"QL-26"}, [](CourseInputs& in) { in.qwen = in.phi; });
  kClaims.expect_follow({"QL-27"}, [](CourseInputs& in) { in.phi = llama_3b(); });
  kClaims.expect_follow({"QL-29"}, [](CourseInputs& in) { in.releases.pop_back(); });
  kClaims.expect_follow({"QL-32"}, [](CourseInputs& in) { in.papers.pop_back(); });
}

TEST(Chapter12, AWrongInputFails) {
  const auto fails = [](const std::function<void(CourseInputs&)>& change) {
    CourseInputs in;
    change(in);
    EXPECT_THROW(kClaims.ledger(in).check(), Error);
  };
  fails([](CourseInputs& in) { in.lite.lora.r = 256; });            // no longer below one percent
  fails([](CourseInputs& in) { in.deepseek = llama_3b(); });        // not the size in its name
  fails([](CourseInputs& in) { in.papers[0].number = "2305.1"; });  // not of its year
  fails([](CourseInputs& in) { in.releases.clear(); });
}

TEST(Chapter12, SizesOfAConfiguration) {
  const CourseInputs in;
  const ConfigurationSizes basic = sizes_of(in.basic), gemma = sizes_of(in.gemma);
  EXPECT_EQ(basic.trainable, 28 * 16 * (3072 + 3072 + 3072 + 1024));
  EXPECT_EQ(gemma.scaling, 1.0);  // alpha is not given: PEFT's default 8, over r = 8
  // Without double quantization every 64 weights bring along a float32.
  const std::int64_t linear = 18 * (2 * 2048 * 2048 + 2 * 256 * 2048 + 3 * 2048 * 16384);
  EXPECT_EQ(gemma.resident - gemma.footprint, linear / 64 * 4);
  EXPECT_EQ(gemma.footprint, linear / 2 + 2 * (gemma.base - linear));
}

// ---- The configurations as files
// -----------------------------------------------------------------

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

// ---- The main job and the experiments
// ------------------------------------------------------------

testing::Ended run(const std::vector<std::string>& words) {
  std::vector<std::string> arguments{QLORA_BIN "/ch12_qlora_finetuning"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  for (const char* more : {"--items", "32", "--test-items", "2", "--device", "cpu"}) {
    arguments.emplace_back(more);
  }
  return testing::run_process(arguments, scratch().string(), 120);
}

TEST(MainJob, WritesTheReportAndTheClaims) {
  const testing::Ended ended = run({"--json", "all.json", "--figures", "figures"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json all = Json::read(scratch() / "all.json");
  const Json report = Json::read(scratch() / "runs/main-job/report.json");
  for (const auto& [name, value] : report.as_object()) {
    EXPECT_EQ(all.at(name).dump(), value.dump()) << name;
  }
  EXPECT_EQ(report.find("claims"), nullptr);  // report.json is what `evaluate` writes too
  EXPECT_EQ(all.at("claims").size(), 32u);
  EXPECT_EQ(all.at("configurations").size(), 5u);
  EXPECT_EQ(all.at("items").as_integer(), 2);
  for (const char* figure : {"structure", "loss", "hits"}) {
    EXPECT_TRUE(fs::exists(scratch() / "figures" / (std::string(figure) + ".svg"))) << figure;
  }
}

double mean_of(const Json& results, std::size_t variant, const std::string& figure) {
  return results.at("variants").at(variant).at("figures").at(figure).at("mean").as_number();
}

TEST(Experiments, RankCountsWhatItTrains) {
  const testing::Ended ended = run({"experiment", "rank", "--seeds", "1", "--json", "rank.json"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(scratch() / "rank.json");
  ASSERT_EQ(results.at("variants").size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    // 20,352 numbers for each rank: 6 layers of 2·(192+192) + 2·(192+64) + 3·(192+512).
    const double r = 4.0 * static_cast<double>(1 << i);
    EXPECT_EQ(mean_of(results, i, "trained"), 20352 * r);
    EXPECT_GT(mean_of(results, i, "test loss"), 0);
  }
  EXPECT_TRUE(fs::exists(scratch() / "runs/experiment-rank/rank.svg"));
}

TEST(Experiments, BaseFormatsTakeTheirBytes) {
  const testing::Ended ended =
      run({"experiment", "base-format", "--seeds", "1", "--json", "formats.json"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(scratch() / "formats.json");
  const double weights = 6.0 * (2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192) / 1e6;
  EXPECT_EQ(mean_of(results, 4, "linears, MB"), 2 * weights);
  EXPECT_NEAR(mean_of(results, 3, "linears, MB"), weights, 0.02 * weights);  // and row maxima
  // 4.5 bits and each tensor's map of 16 floats.
  EXPECT_NEAR(mean_of(results, 1, "linears, MB"), 4.5 / 8 * weights + 42 * 64e-6, 1e-9);
  EXPECT_LT(mean_of(results, 0, "linears, MB"), mean_of(results, 1, "linears, MB"));
}

TEST(Experiments, ALossThatIsNoNumberIsAFailedRunAndNotTheEnd) {
  const testing::Ended ended =
      run({"experiment", "random-base", "--seeds", "1", "--learning-rate", "1e30"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("failed"), std::string::npos) << ended.output;
}

TEST(Experiments, EachHasAVerb) {
  const testing::Ended help = testing::run_process(
      {QLORA_BIN "/ch12_qlora_finetuning", "experiment", "--help"}, scratch().string(), 60);
  for (const char* name : {"rank", "alpha", "alpha-rule", "targets", "learning-rate", "base-format",
                           "lora-against-qlora", "random-base"}) {
    EXPECT_NE(help.output.find(std::string("  ") + name + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace qlora::chapter12
