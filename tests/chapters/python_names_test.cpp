// `train --config` with what transformers, TRL, PEFT and bitsandbytes call things.
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/peft_adapter.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::in_scratch;

// Two epochs of two steps with the settings of a file.
testing::Ended train(const std::string& json, const std::vector<std::string>& more = {}) {
  std::ofstream(in_scratch("config.json")) << json;
  std::ofstream rows(in_scratch("rows.jsonl"));
  for (int i = 0; i < 4; ++i) {
    rows << R"({"prompt": "item )" << i << R"( costs $", "completion": ")" << i << "\"}\n";
  }
  rows.close();
  std::vector<std::string> arguments{QLORA_BIN "/ch12_qlora_finetuning",
                                     "train",
                                     "--config",
                                     in_scratch("config.json"),
                                     "--model",
                                     QLORA_TINY_LLAMA,
                                     "--data",
                                     in_scratch("rows.jsonl"),
                                     "--eval-data",
                                     in_scratch("rows.jsonl"),
                                     "--per-device-train-batch-size",
                                     "2",
                                     "--num-train-epochs",
                                     "2",
                                     "--device",
                                     "cpu",
                                     "--output-dir",
                                     in_scratch("out")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return testing::run_process(arguments, testing::scratch().string(), 60);
}

std::vector<std::int64_t> evaluated_at() {
  std::vector<std::int64_t> steps;
  const Json state = Json::read(in_scratch("out/trainer_state.json"));
  for (const Json& entry : state.at("log_history").as_array()) {
    if (entry.find("eval_loss") != nullptr) steps.push_back(entry.at("step").as_integer());
  }
  return steps;
}

TEST(PythonNames, AskingForWhatIsDoneAnywayAreTaken) {
  const testing::Ended ended = train(R"({
    "torch_dtype": "auto", "attn_implementation": "flash_attention_2", "device_map": {"": 0},
    "bnb_4bit_compute_dtype": "torch.float32", "bnb_4bit_quant_storage": "uint8",
    "dataloader_num_workers": 4, "dataloader_pin_memory": true, "remove_unused_columns": false,
    "tf32": true, "gradient_checkpointing": true, "report_to": [], "logging_strategy": "steps",
    "gradient_checkpointing_kwargs": {"use_reentrant": false}, "metric_for_best_model": "eval_loss",
    "greater_is_better": false, "data_seed": null, "dataset_text_field": "text", "eval_steps": null,
    "max_seq_length": 64, "optim": "adamw_bnb_8bit", "push_to_hub": false,
    "peft_type": "LORA", "modules_to_save": null, "init_lora_weights": true,
    "exclude_modules": null, "layers_to_transform": null, "rank_pattern": {}, "alpha_pattern": {},
    "bias": "none", "inference_mode": false, "fan_in_fan_out": false, "loftq_config": {}})");
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json resume = Json::read(in_scratch("out/checkpoint-4/resume.json"));
  EXPECT_EQ(resume.at("settings").at("optim").as_string(), "adamw_8bit");
  EXPECT_TRUE(evaluated_at().empty());
}

TEST(PythonNames, OneDeviceIsAskedForInManyWays) {
  for (const char* map : {R"("auto")", R"("cuda")", R"("cuda:0")", "0", R"({"": 0})",
                          R"({"": "cuda:0"})", R"({"":"cuda"})"}) {
    const testing::Ended ended =
        train(std::string(R"({"max_steps": 1, "device_map": )") + map + "}");
    EXPECT_TRUE(ended.ok()) << ended.output;
  }
  for (const char* map : {R"("balanced")", R"("sequential")", R"({"model": 0, "lm_head": 1})"}) {
    const testing::Ended ended = train(std::string(R"({"device_map": )") + map + "}");
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_NE(ended.output.find("config.json: device_map is not supported but as auto"),
              std::string::npos)
        << ended.output;
  }
}

TEST(PythonNames, ThatAreNotSupportedSayWhy) {
  const std::pair<const char*, const char*> lines[] = {
      {R"({"modules_to_save": ["lm_head"]})", "modules_to_save is not supported: A and B"},
      {R"({"init_lora_weights": "pissa"})", "init_lora_weights is not supported but as true: A"},
      {R"({"metric_for_best_model": "f1"})",
       "metric_for_best_model is not supported but as loss or eval_loss: "},
      {R"({"data_seed": 7})", "data_seed is not supported: --seed"},
      {R"({"peft_type": "IA3"})", "peft_type is not supported but as LORA"}};
  for (const auto& [json, line] : lines) {
    const testing::Ended ended = train(json);
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_NE(ended.output.find(std::string("config.json: ") + line), std::string::npos)
        << ended.output;
  }
}

TEST(PythonNames, OptimizersOfOneStepAreThatStep) {
  for (const auto& [name, ours] : {std::pair("paged_adamw_8bit", "adamw_8bit"),
                                   std::pair("paged_adamw_32bit", "adamw_torch")}) {
    const testing::Ended ended = train(std::string(R"({"optim": ")") + name + "\"}");
    ASSERT_TRUE(ended.ok()) << ended.output;
    EXPECT_NE(ended.output.find(": nothing needs paging"), std::string::npos) << ended.output;
    const Json resume = Json::read(in_scratch("out/checkpoint-4/resume.json"));
    EXPECT_EQ(resume.at("settings").at("optim").as_string(), ours);
  }
}

TEST(PythonNames, EvalStrategyIsTransformers) {
  using Steps = std::vector<std::int64_t>;
  ASSERT_TRUE(train(R"({"eval_strategy": "epoch"})").ok());
  EXPECT_EQ(evaluated_at(), (Steps{2, 4}));
  ASSERT_TRUE(train(R"({"eval_strategy": "steps", "eval_steps": 3})").ok());
  EXPECT_EQ(evaluated_at(), (Steps{3}));
  ASSERT_TRUE(train(R"({"evaluation_strategy": "steps", "logging_steps": 1})").ok());
  EXPECT_EQ(evaluated_at(), (Steps{1, 2, 3, 4}));
  ASSERT_TRUE(train(R"({"eval_strategy": "no", "eval_steps": 3})").ok());
  EXPECT_EQ(evaluated_at(), (Steps{}));
}

TEST(PythonNames, PatternsGiveModulesRanksOfTheirOwn) {
  const testing::Ended ended = train(
      R"({"max_steps": 1, "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj"],
               "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3},
               "layers_to_transform": [0, 2], "exclude_modules": ["v_proj"]})");
  ASSERT_TRUE(ended.ok()) << ended.output;
  const PeftAdapter adapter = read_adapter(in_scratch("out"));
  ASSERT_EQ(adapter.modules.size(), 4u);  // q and k of two layers
  for (const LoraModule& m : adapter.modules) {
    const bool is_q = m.module.ends_with("q_proj");
    EXPECT_TRUE(is_q || m.module.ends_with("k_proj")) << m.module;
    EXPECT_EQ(m.module.find("layers.1."), std::string::npos) << m.module;
    EXPECT_EQ(m.A.dim(0), is_q ? 2 : 4) << m.module;
    EXPECT_EQ(scaling_of(adapter.config, m.module), is_q ? 1.5 : 2.0) << m.module;
  }
  EXPECT_EQ(train("{}", {"--rank-pattern", R"({"q_proj": 0})"}).exit_code, 2);
}

}  // namespace
}  // namespace qlora
