// `train` from a folder of Llama 3.2's files: its config.json, tokenizer.json and chat template, at
// a hidden size of 64. The tokenizer is an optional asset, not part of the project.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "llama/load.h"
#include "support/golden.h"
#include "support/process.h"
#include "text/llama3_files.h"

namespace qlora {
namespace {

using testing::scratch;

// config.json of Llama-3.2-1B-Instruct, of which hidden_size (2048), head_dim (64),
// intermediate_size (8192), the numbers of layers (16) and heads (32 and 8) are made smaller.
constexpr const char* kConfig = R"({
  "architectures": ["LlamaForCausalLM"],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "bos_token_id": 128000,
  "eos_token_id": [128001, 128008, 128009],
  "head_dim": 16,
  "hidden_act": "silu",
  "hidden_size": 64,
  "initializer_range": 0.02,
  "intermediate_size": 256,
  "max_position_embeddings": 131072,
  "mlp_bias": false,
  "model_type": "llama",
  "num_attention_heads": 4,
  "num_hidden_layers": 2,
  "num_key_value_heads": 2,
  "pretraining_tp": 1,
  "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0,
  "tie_word_embeddings": true,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.45.0.dev0",
  "use_cache": true,
  "vocab_size": 128256
})";

constexpr const char* kGeneration = R"({"bos_token_id": 128000, "do_sample": true,
  "eos_token_id": [128001, 128008, 128009], "temperature": 0.6, "top_p": 0.9})";

// Llama 3.2's template, without what it does for tools.
constexpr const char* kTemplate = R"({{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
)";

void put(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

// What the optional assets lack of such a folder.
void put_model(const std::filesystem::path& folder) {
  const LlamaModel model = random_model(llama_config(Json::parse(kConfig, "config.json")), 1);
  save_model(folder.string(), model, DType::bf16);
  put(folder / "config.json", kConfig);
  put(folder / "generation_config.json", kGeneration);
  std::filesystem::copy_file(testing::assets() + "/tokenizers/llama3/tokenizer_config.json",
                             folder / "tokenizer_config.json");
}

class Llama3Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_ASSETS();
    std::filesystem::create_directory(model);
    PUT_LLAMA3_JSON_OR_SKIP(model);
    put_model(model);
  }

  // Two steps over one row.
  testing::Ended train(const std::string& row, const std::vector<std::string>& options = {}) {
    put(scratch() / "data.jsonl", row + "\n");
    std::vector<std::string> arguments = {QLORA_BIN "/ch12_qlora_finetuning", "train"};
    for (const auto& [name, value] : {std::pair<std::string, std::string>{"model", model},
                                      {"data", scratch() / "data.jsonl"},
                                      {"output-dir", out},
                                      {"max-steps", "2"},
                                      {"target-modules", "all-linear"}}) {
      arguments.push_back("--" + name);
      arguments.push_back(value);
    }
    arguments.insert(arguments.end(), options.begin(), options.end());
    std::filesystem::remove_all(out);
    return testing::run_process(arguments, scratch().string(), 120);
  }

  const std::filesystem::path model = scratch() / "model", out = scratch() / "out";
};

TEST_F(Llama3Folder, TrainsOnRowsOfEveryShape) {
  put(model / "chat_template.jinja", kTemplate);
  // The ids are those of the tests of the tokenizer, with BOS and EOS (llama3_assets_test.cpp); the
  // conversation has 26 with the system message and its dates, 11 for the question, 7 for the
  // answer.
  const std::string conversation =
      R"({"messages": [{"role": "user", "content": " This is a test sentence.\n"}, )"
      R"({"role": "assistant", "content": "Hello world"}]})";
  const struct {
    std::string row, count;
  } rows[] = {{R"({"prompt": "This is a test", "completion": " sentence."})", "1 rows, 8 tokens"},
              {R"({"text": "Hello world"})", "1 rows, 4 tokens"},
              {conversation, "1 rows, 44 tokens"},
              {R"({"instruction": "Say hello.", "input": "", "output": "Hello"})", "1 rows, "}};
  for (const auto& [row, count] : rows) {
    const testing::Ended ended = train(row);
    ASSERT_TRUE(ended.ok()) << ended.output;
    EXPECT_NE(ended.output.find(count), std::string::npos) << row << "\n" << ended.output;
    EXPECT_NE(ended.output.find("over 2 steps"), std::string::npos) << ended.output;
    EXPECT_TRUE(std::filesystem::exists(out / "adapter_model.safetensors"));
  }
}

TEST_F(Llama3Folder, AConversationNamesTheDayThatIsGiven) {
  put(model / "chat_template.jinja", kTemplate);
  // "Today Date: 7" and not "26 Jul 2024": ids 220 1627 10263 220 2366 19 become 220 22.
  const testing::Ended ended = train(
      R"({"messages": [{"role": "user", "content": "Hello world"}]})", {"--date-string", "7"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("1 rows, 29 tokens"), std::string::npos) << ended.output;
}

TEST_F(Llama3Folder, AnUnknownTemplateIsRefusedWhereRowsHaveMessages) {
  put(model / "chat_template.jinja", "{{ '<|im_start|>' }}");
  const testing::Ended ended = train(R"({"messages": [{"role": "user", "content": "Hello"}]})");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_NE(ended.output.find("chat_template.jinja: chat_template: not a template that is"),
            std::string::npos)
      << ended.output;
  EXPECT_FALSE(std::filesystem::exists(out));
  const testing::Ended text = train(R"({"text": "Hello"})");
  EXPECT_TRUE(text.ok()) << text.output;
}

}  // namespace
}  // namespace qlora
