// `inspect` and `generate --chat` through the command line.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::golden;
using testing::scratch;

const std::string kProgram = QLORA_BIN "/ch08_llama_decoder";

// Runs a shell command in which $ch08 is the program.
testing::Ended shell(const std::string& command) {
  return testing::run_process({"bash", "-c", "ch08='" + kProgram + "'; " + command},
                              scratch().string(), 60);
}

// A folder with a configuration and nothing else.
std::string config_alone(const Json& config) {
  const fs::path folder = scratch() / "config-alone";
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << config.dump();
  return folder.string();
}

// The embedded model, with a chat template beside it where there is one.
std::string talking(const std::string& chat_template) {
  const fs::path folder = scratch() / "talking";
  fs::copy(QLORA_TINY_LLAMA, folder, fs::copy_options::recursive);
  if (!chat_template.empty()) std::ofstream(folder / "chat_template.jinja") << chat_template;
  return folder.string();
}

constexpr const char* kLlama2Template = "{{ '[INST] ' + '<<SYS>>' }}";

TEST(InspectVerb, NeedsTheConfigurationAlone) {
  const Json trees = Json::read(QLORA_SOURCE_DIR "/tests/llama/module_trees.json");
  const Json& first = trees.at("cases").at(0);
  const testing::Ended ended = shell("$ch08 inspect --model " + config_alone(first.at("config")));
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  std::string tree;
  for (const Json& line : first.at("printed").as_array()) tree += line.as_string() + "\n";
  EXPECT_TRUE(ended.output.starts_with(tree)) << ended.output;
  EXPECT_NE(ended.output.find("3,212,749,824 parameters"), std::string::npos) << ended.output;
}

TEST(InspectVerb, ShowsQuantizationAndAdapters) {
  const std::string base = golden("llama_nf4/a"), adapter = golden("qlora/adapter_std");
  const testing::Ended ended = shell("$ch08 inspect --model " + base + " --adapter " + adapter);
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  for (const char* part : {"PeftModelForCausalLM(", "lora.Linear4bit(", "(default): Linear(",
                           "layers in nf4 with double quantization", " of adapters"}) {
    EXPECT_NE(ended.output.find(part), std::string::npos) << part << "\n" << ended.output;
  }
  const testing::Ended dense = shell("$ch08 inspect --quantize none --model " + base);
  EXPECT_EQ(dense.output.find("Linear4bit"), std::string::npos) << dense.output;
  const testing::Ended int8 = shell("$ch08 inspect --quantize int8 --random-model llama-3.2-1b");
  EXPECT_NE(int8.output.find("Linear8bitLt(in_features=2048"), std::string::npos) << int8.output;
}

// What the folder is in, and what to do, in one line.
void expect_refused(const testing::Ended& ended, int exit_code, const std::string& line) {
  EXPECT_EQ(ended.exit_code, exit_code) << ended.output;
  EXPECT_NE(ended.output.find(line), std::string::npos) << ended.output;
  EXPECT_EQ(std::count(ended.output.begin(), ended.output.end(), '\n'), 1) << ended.output;
}

TEST(QuantizeOption, IsRefusedWhereTheFolderIsInAnotherFormat) {
  std::ofstream(scratch() / "ids.json") << R"({"input_ids": [[1, 2, 3]]})";
  const std::string nf4 = golden("llama_nf4/a"), int8 = golden("llama_nf4/a_int8");
  const std::string fp4 = golden("llama_nf4/b_fp4_nodq"), dense = golden("llama/a_fp32");
  const std::string nested = " is in nf4 with double quantization already; leave it out, or ";
  for (const std::string& verb :
       {std::string("$ch08 inspect"), std::string("$ch08 logits --ids ids.json --output l.st")}) {
    const auto asked = [&](const std::string& model, const std::string& options) {
      return shell(verb + " --model " + model + " " + options);
    };
    for (const std::string format : {"fp4", "int8"}) {
      expect_refused(asked(nf4, "--quantize " + format), 2,
                     "--quantize " + format + ": " + nf4 + nested);
    }
    expect_refused(asked(int8, "--quantize nf4"), 2, " is in int8 already");
    expect_refused(asked(fp4, "--double-quant"), 2,
                   "--double-quant: " + fp4 + " is in fp4 already");
    expect_refused(asked(fp4, "--quantize fp4 --double-quant"), 2,
                   "--quantize fp4 --double-quant: ");
    expect_refused(asked(dense, "--double-quant"), 2, "--double-quant says nothing without");
    expect_refused(asked(dense, "--quantize int8 --double-quant"), 2, "says nothing without");
    // What it has, and what restores it, is taken.
    for (const char* options : {"", "--quantize nf4", "--quantize nf4 --double-quant",
                                "--double-quant", "--quantize none"}) {
      EXPECT_TRUE(asked(nf4, options).ok()) << options;
    }
    EXPECT_TRUE(asked(int8, "--quantize int8").ok());
    EXPECT_TRUE(asked(dense, "--quantize nf4 --double-quant").ok());
  }
}

TEST(InspectVerb, RefusesAnAdapterThatNamesNoModuleOfTheModel) {
  const fs::path adapter = scratch() / "adapter";
  fs::copy(golden("qlora/adapter_std"), adapter);
  Json config = Json::read((adapter / "adapter_config.json").string());
  config["target_modules"] = "c_attn";
  std::ofstream(adapter / "adapter_config.json") << config.dump();
  expect_refused(
      shell("$ch08 inspect --model " + golden("llama/a_fp32") + " --adapter " + adapter.string()),
      3, adapter.string() + "/adapter_config.json: target_modules: ");
}

TEST(LogitsVerb, NamesAnArchitectureBeforeItMissesTheWeights) {
  Json config = Json::read(golden("llama/a_fp32") + "/config.json");
  config["model_type"] = "qwen2";
  const std::string folder = config_alone(config);
  std::ofstream(scratch() / "ids.json") << R"({"input_ids": [[1, 2, 3]]})";
  for (const std::string verb : {"logits --ids ids.json --output l.st", "generate --prompt hi"}) {
    expect_refused(shell("$ch08 " + verb + " --model " + folder), 3,
                   folder + "/config.json: model_type: found \"qwen2\"");
  }
}

TEST(LogitsVerb, SaysOnceThatAnAdapterWasMadeForAnotherBase) {
  std::ofstream(scratch() / "ids.json") << R"({"input_ids": [[1, 2, 3]]})";
  const fs::path other = scratch() / "other", known = scratch() / "known";
  for (const fs::path& folder : {other, known}) fs::copy(golden("llama/a_fp32"), folder);
  Json config = Json::read((known / "config.json").string());
  config["_name_or_path"] = "somebody/a_fp32";
  std::ofstream(known / "config.json") << config.dump();
  const auto said = [&](const std::string& model) {
    const testing::Ended ended = shell("$ch08 logits --ids ids.json --output l.st --model " +
                                       model + " --adapter " + golden("qlora/adapter_nonzero"));
    EXPECT_TRUE(ended.ok()) << ended.output;
    const std::string line = ": was made for golden/llama/a_fp32; ";
    const std::size_t at = ended.output.find(line);
    if (at == std::string::npos) return 0;
    return ended.output.find(line, at + 1) == std::string::npos ? 1 : 2;
  };
  EXPECT_EQ(said(other.string()), 1);
  EXPECT_EQ(said(known.string()), 0);
  EXPECT_EQ(said(golden("llama/a_fp32") + "/"), 0);
}

TEST(ChatVerb, AnswersLineByLine) {
  const testing::Ended ended = shell(
      "printf 'What is a lamp?\\n\\nAnd a chair?\\n' | $ch08 generate --chat --system 'Be "
      "brief.' --max-new-tokens 6 --device cpu --json chat.json --model " +
      talking(kLlama2Template));
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  const Json turns = Json::read((scratch() / "chat.json").string()).at("turns");
  ASSERT_EQ(turns.size(), 2u) << "an empty line says nothing";
  EXPECT_EQ(turns.at(1).at("user").as_string(), "And a chair?");
  EXPECT_EQ(turns.at(0).at("reused_positions").as_integer(), 0);
  EXPECT_GT(turns.at(1).at("reused_positions").as_integer(), 10);
  std::string said;
  for (const Json& turn : turns.as_array()) said += turn.at("assistant").as_string() + "\n";
  EXPECT_EQ(ended.output, said);
}

TEST(ChatVerb, PassesOverALineThatCannotBeSaid) {
  const testing::Ended ended = shell(
      "long=$(printf 'lamp %.0s' {1..600}); printf \"Hi [INST]\\nWhat is a lamp?\\n$long\\nAnd a "
      "chair?\\n\" | $ch08 generate --chat --max-new-tokens 6 --device cpu --json chat.json "
      "--model " +
      talking(kLlama2Template) + " 2>problems");
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  const std::string problems = read_file((scratch() / "problems").string());
  EXPECT_TRUE(problems.starts_with("line 1 is passed over: ")) << problems;
  EXPECT_NE(problems.find("own tag [INST]\nline 3 is passed over: conversation: "),
            std::string::npos)
      << problems;
  const Json turns = Json::read((scratch() / "chat.json").string()).at("turns");
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns.at(0).at("user").as_string(), "What is a lamp?");
  EXPECT_EQ(turns.at(1).at("user").as_string(), "And a chair?");
  EXPECT_GT(turns.at(1).at("reused_positions").as_integer(), 10) << "what was refused is forgotten";
}

TEST(LogitsVerb, RefusesLabelsOfWhichNoneCounts) {
  std::ofstream(scratch() / "ids.json") << R"({"input_ids": [[1, 2]], "labels": [[1, -100]]})";
  const testing::Ended ended =
      shell("$ch08 logits --ids ids.json --output logits --model " + std::string(QLORA_TINY_LLAMA));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_NE(ended.output.find("ids.json: labels: none counts"), std::string::npos) << ended.output;
  EXPECT_FALSE(fs::exists(scratch() / "logits"));
}

TEST(LogitsVerb, SaysWhatItWroteWhenItIsWritten) {
  std::ofstream(scratch() / "ids.json") << R"({"input_ids": [[1, 2]]})";
  const testing::Ended ended =
      shell("$ch08 logits --ids ids.json --output nowhere/logits --model " +
            std::string(QLORA_TINY_LLAMA));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(ended.output.find("logits [1, 2"), std::string::npos) << ended.output;
}

TEST(GenerateVerb, SaysThePromptWhenItsLengthFits) {
  const testing::Ended ended = shell("$ch08 generate --prompt lamp --max-new-tokens 600 --model " +
                                     std::string(QLORA_TINY_LLAMA));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_TRUE(ended.output.starts_with("ch08_llama_decoder: ")) << ended.output;
}

TEST(ChatVerb, RefusesAFolderWithoutATemplate) {
  const testing::Ended ended = shell("$ch08 generate --chat --model " + talking(""));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_NE(ended.output.find("chat_template"), std::string::npos) << ended.output;
  EXPECT_EQ(std::count(ended.output.begin(), ended.output.end(), '\n'), 1) << ended.output;
}

TEST(ChatVerb, RefusesATemplateThatIsNotKnown) {
  const testing::Ended ended = shell("$ch08 generate --chat --model " + talking("{{ messages }}"));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_EQ(std::count(ended.output.begin(), ended.output.end(), '\n'), 1) << ended.output;
}

TEST(ChatVerb, IsAPromptOrAConversation) {
  const std::string model = QLORA_TINY_LLAMA;
  EXPECT_EQ(shell("$ch08 generate --model " + model).exit_code, 2);
  EXPECT_EQ(shell("$ch08 generate --chat --prompt hi --model " + model).exit_code, 2);
  EXPECT_EQ(shell("$ch08 generate --system hi --prompt hi --model " + model).exit_code, 2);
}

}  // namespace
}  // namespace qlora
