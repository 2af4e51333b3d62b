// config.json of the published folders of each family, and of those that are refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "llama/config.h"
#include "llama/memory_plan.h"
#include "llama/shapes.h"
#include "support/matcher.h"

namespace qlora {
namespace {

struct Published {
  const char* name;
  const char* config;
  std::int64_t parameters;  // as the hub prints them
};

void PrintTo(const Published& p, std::ostream* out) {
  *out << p.name;
}

// What decides on shapes and arithmetic in each.
constexpr Published kPublished[] = {
    {"Llama_2_7B", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008,
      "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
      "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
      "tie_word_embeddings": false, "torch_dtype": "float16", "vocab_size": 32000})",
     6'738'415'616},
    {"TinyLlama_1_1B", R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
      "model_type": "llama", "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5632,
      "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 22,
      "num_key_value_heads": 4, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
      "tie_word_embeddings": false, "torch_dtype": "float32", "vocab_size": 32000})",
     1'100'048'384},
    {"SmolLM2_135M", R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
      "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
      "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192,
      "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
      "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_interleaved": false,
      "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
      "torch_dtype": "bfloat16", "vocab_size": 49152})",
     134'515'008},
    {"DeepSeek_Coder_1_3B", R"({"architectures": ["LlamaForCausalLM"], "bos_token_id": 32013,
      "eos_token_id": 32014, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5504,
      "max_position_embeddings": 16384, "model_type": "llama", "num_attention_heads": 16,
      "num_hidden_layers": 24, "num_key_value_heads": 16, "rms_norm_eps": 1e-06,
      "rope_scaling": {"factor": 4.0, "type": "linear"}, "rope_theta": 100000,
      "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 32256})",
     1'346'471'936},
    {"Gemma_2B", R"({"architectures": ["GemmaForCausalLM"], "attention_bias": false,
      "bos_token_id": 2, "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu",
      "hidden_activation": null, "hidden_size": 2048, "intermediate_size": 16384,
      "max_position_embeddings": 8192, "model_type": "gemma", "num_attention_heads": 8,
      "num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0, "rms_norm_eps": 1e-06,
      "rope_scaling": null, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
      "vocab_size": 256000})",
     2'506'172'416},
    {"Gemma_7B", R"({"architectures": ["GemmaForCausalLM"], "hidden_act": "gelu_pytorch_tanh",
      "hidden_size": 3072, "intermediate_size": 24576, "model_type": "gemma",
      "num_attention_heads": 16, "num_hidden_layers": 28, "vocab_size": 256000})",
     8'537'680'896},
};

class PublishedConfig : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedConfig, HasTheParametersOfTheHub) {
  const LlamaConfig c = llama_config(Json::parse(GetParam().config, "config.json"));
  EXPECT_EQ(c.parameter_count(), GetParam().parameters);
  const ModelShapes shapes = model_shapes(Json::parse(GetParam().config, "config.json"));
  EXPECT_EQ(shapes.parameters, GetParam().parameters);
  EXPECT_EQ(to_json(llama_config(to_json(c))).dump(), to_json(c).dump());
}

INSTANTIATE_TEST_SUITE_P(Families, PublishedConfig, ::testing::ValuesIn(kPublished),
                         [](const auto& one) { return std::string(one.param.name); });

LlamaConfig config_of(const std::string& members) {
  return llama_config(Json::parse(
      R"({"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 8, "vocab_size": 5)" +
          members + "}",
      "config.json"));
}

TEST(FamilyConfig, GemmaIsWhatItsTypeSays) {
  const LlamaConfig c = config_of(R"(, "model_type": "gemma", "num_key_value_heads": 1)");
  EXPECT_EQ(c.activation, GateActivation::gelu_tanh);
  EXPECT_EQ(c.norm_offset, 1.0);
  EXPECT_EQ(c.embedding_scale, std::sqrt(12.0));
  EXPECT_EQ(c.head_dim, 256);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.max_position_embeddings, 8192);
  const LlamaConfig llama = config_of("");
  EXPECT_EQ(llama.activation, GateActivation::silu);
  EXPECT_EQ(llama.norm_offset, 0.0);
  EXPECT_EQ(llama.embedding_scale, 1.0);
  EXPECT_EQ(llama.head_dim, 6);
  EXPECT_FALSE(llama.tie_word_embeddings);
}

// Gemma 2B in NF4, r = 8 on all linears: the parts of the plan by hand, and PEFT's count of
// adapters.
TEST(FamilyConfig, ThePlanOfGemma2B) {
  TrainingShape shape;
  shape.config = llama_config(Json::parse(kPublished[4].config, "config.json"));
  shape.lora.r = 8;
  shape.lora.target_modules = std::string("all-linear");
  shape.B = 2;
  shape.T = 512;
  const MemoryPlan plan = training_memory(shape);
  const auto bytes_of = [&](const std::string& name) {
    const auto part = std::ranges::find(plan.parts, name, &MemoryPart::name);
    return part == plan.parts.end() ? -1 : part->bytes;
  };
  const std::int64_t embedding = 256'000 * 2048, norms = 37 * 2048;
  EXPECT_EQ(bytes_of("embedding, which is the head too"), 2 * embedding);
  EXPECT_EQ(bytes_of("norms"), 2 * norms);
  EXPECT_EQ(bytes_of("linear layers, nf4"), (2'506'172'416 - embedding - norms) / 2);
  EXPECT_EQ(bytes_of("rotary tables"), 512 * 256 * 4);
  EXPECT_EQ(bytes_of("adapters, 9,805,824 parameters"), 4 * 9'805'824);
}

// Linear scaling is a position of p/factor: every frequency by the factor, in float32.
TEST(FamilyConfig, LinearScalingDividesEveryFrequency) {
  const LlamaConfig plain = config_of(R"(, "rope_theta": 100000.0)");
  for (const char* scaling :
       {R"(, "rope_theta": 100000.0, "rope_scaling": {"type": "linear", "factor": 4.0})",
        R"(, "rope_parameters": {"rope_theta": 100000.0, "rope_type": "linear", "factor": 4})"}) {
    const std::vector<float> ours = inverse_frequencies(config_of(scaling));
    const std::vector<float> before = inverse_frequencies(plain);
    ASSERT_EQ(ours.size(), 3u);
    for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_EQ(ours[i], before[i] / 4.0f);
  }
}

// Each is one line that names the member, what stands there and what is supported.
TEST(FamilyConfig, AllElseIsRefusedByName) {
  const struct {
    const char* members;
    const char* problem;
  } rows[] = {
      {R"("model_type": "qwen2")",
       "config.json: model_type: found \"qwen2\", expected llama (Llama 2, Llama 3.x, TinyLlama, "
       "SmolLM2, DeepSeek-Coder) or gemma (Gemma 1); no other architecture is supported"},
      {R"("model_type": "mistral", "sliding_window": 4096)", "model_type: found \"mistral\""},
      {R"("model_type": "phi")", "model_type: found \"phi\""},
      {R"("model_type": "gemma2")", "model_type: found \"gemma2\""},
      {R"("model_type": "gemma3_text")", "model_type: found \"gemma3_text\""},
      {R"("architectures": ["MistralForCausalLM"])",
       "architectures[0]: found \"MistralForCausalLM\", expected LlamaForCausalLM"},
      {R"("model_type": "llama", "architectures": ["LlamaForSequenceClassification"])",
       "found \"LlamaForSequenceClassification\", expected LlamaForCausalLM"},
      {R"("model_type": "gemma", "architectures": ["LlamaForCausalLM"])",
       "expected GemmaForCausalLM"},
      {R"("attention_bias": true)", "attention_bias: found true, expected false"},
      {R"("mlp_bias": true)", "mlp_bias: found true, expected false"},
      {R"("hidden_act": "gelu")", "hidden_act: found \"gelu\", expected silu"},
      {R"("model_type": "gemma", "hidden_act": "silu")",
       "hidden_act: found \"silu\", expected gelu_pytorch_tanh, the only activation of Gemma 1"},
      {R"("model_type": "gemma", "hidden_act": "gelu", "hidden_activation": "gelu")",
       "hidden_activation: found \"gelu\", expected gelu_pytorch_tanh"},
      {R"("model_type": "gemma", "use_bidirectional_attention": true)",
       "use_bidirectional_attention: found true"},
      {R"("rope_scaling": {"rope_type": "yarn", "factor": 4.0})",
       "rope_scaling.rope_type: found \"yarn\", expected a rope type of default, linear or llama3"},
      {R"("rope_scaling": {"type": "dynamic", "factor": 2.0})", "found \"dynamic\""},
      {R"("rope_scaling": {"type": "linear", "factor": 0.5})",
       "rope_scaling.factor: found 0.5, expected a number of at least 1"},
      {R"("rope_scaling": {"type": "linear"})", "\"factor\" is missing"},
      {R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})",
       "rope_parameters.partial_rotary_factor: found 0.5, expected 1"},
      {R"("model_type": "gemma", "num_key_value_heads": null)",
       "num_attention_heads: found 2, expected query heads that are a multiple"},
  };
  for (const auto& row : rows) {
    try {
      config_of(std::string(", ") + row.members);
      ADD_FAILURE() << row.members << " was taken";
    } catch (const BadInput& e) {
      const std::string line = e.what();
      EXPECT_NE(line.find(row.problem), std::string::npos) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    }
  }
}

}  // namespace
}  // namespace qlora
