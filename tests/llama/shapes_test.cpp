// Shapes and parameters out of config.json: against published models and the decoder's own.
#include "llama/shapes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "support/golden.h"

namespace qlora {
namespace {

// config.json of Llama 3.2 3B, in a file of the test's.
std::string llama_3b() {
  const std::string path = testing::scratch() / "config.json";
  std::ofstream(path) << R"({
    "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 3072, "initializer_range": 0.02, "intermediate_size": 8192,
    "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
    "num_attention_heads": 24, "num_hidden_layers": 28, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256})";
  return path;
}

ModelShapes shapes(const std::string& json) {
  return model_shapes(Json::parse(json, "config.json"));
}

std::string line(const ModelShapes& m, std::int64_t r, NamesOrPattern targets) {
  LoraConfig config;
  config.r = r;
  config.target_modules = std::move(targets);
  return trainable_line(
      count_trainable(adapter_shapes(config, stacked(m.layer, m.layers)), m.parameters));
}

TEST(ModelShapes, GivePeftsLinesOfLlama3B) {
  using Names = std::vector<std::string>;
  const ModelShapes m = model_shapes(Json::read(llama_3b()));
  EXPECT_EQ(line(m, 16, Names{"q_proj", "v_proj"}),
            "trainable params: 4,587,520 || all params: 3,217,337,344 || trainable%: 0.1426");
  EXPECT_EQ(line(m, 32, Names{"q_proj", "k_proj", "v_proj", "o_proj"}),
            "trainable params: 18,350,080 || all params: 3,231,099,904 || trainable%: 0.5679");
  EXPECT_EQ(line(m, 256, "all-linear"),
            "trainable params: 389,021,696 || all params: 3,601,771,520 || trainable%: 10.8008");
  // A line that a saved notebook of others shows.
  EXPECT_EQ(line(m, 32, "all-linear"),
            "trainable params: 48,627,712 || all params: 3,261,377,536 || trainable%: 1.4910");
}

TEST(ModelShapes, GivePeftsLineOfGemma2B) {
  const ModelShapes m = shapes(R"({"model_type": "gemma", "hidden_size": 2048,
    "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256,
    "intermediate_size": 16384, "vocab_size": 256000})");
  EXPECT_EQ(line(m, 8, "all-linear"),
            "trainable params: 9,805,824 || all params: 2,515,978,240 || trainable%: 0.3897");
}

// Parameters as the hub prints them for the published weights.
TEST(ModelShapes, CountPublishedModels) {
  EXPECT_EQ(shapes(R"({"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
    "vocab_size": 32000, "sliding_window": 4096})")
                .parameters,
            7'241'732'096);
  EXPECT_EQ(shapes(R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "intermediate_size": 11008, "vocab_size": 32000})")
                .parameters,
            6'738'415'616);
  EXPECT_EQ(shapes(R"({"model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
    "vocab_size": 151936, "tie_word_embeddings": true})")
                .parameters,
            494'032'768);
  EXPECT_EQ(shapes(R"({"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 3072, "vocab_size": 151936, "attention_bias": false,
    "tie_word_embeddings": true})")
                .parameters,
            596'049'920);
  EXPECT_EQ(shapes(R"({"model_type": "gemma2", "hidden_size": 2304, "num_hidden_layers": 26,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "intermediate_size": 9216, "vocab_size": 256000})")
                .parameters,
            2'614'341'888);
  EXPECT_EQ(shapes(R"({"model_type": "phi", "hidden_size": 2560, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": null, "intermediate_size": 10240,
    "vocab_size": 51200, "tie_word_embeddings": false})")
                .parameters,
            2'779'683'840);
}

TEST(ModelShapes, AgreeWithTheDecoder) {
  for (const char* name : {"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"}) {
    const LlamaConfig config = named_config(name);
    const ModelShapes m = model_shapes(to_json(config));
    EXPECT_EQ(m.parameters, config.parameter_count()) << name;
    const std::vector<LinearShape> linears = stacked(m.layer, m.layers);
    std::size_t i = 0;
    model_skeleton(config).for_each_projection([&](const LinearGroup& group, const Projection& p) {
      ASSERT_LT(i, linears.size());
      EXPECT_EQ(linears[i].name, p.name);
      EXPECT_EQ(linears[i].K, group.K) << p.name;
      EXPECT_EQ(linears[i].N, p.N) << p.name;
      ++i;
    });
    EXPECT_EQ(i, linears.size()) << name;
  }
}

TEST(ModelShapes, CountBiases) {
  const auto with = [](const std::string& biases) {
    return shapes(R"({"model_type": "llama", "hidden_size": 12, "num_hidden_layers": 3,
      "num_attention_heads": 3, "num_key_value_heads": 1, "intermediate_size": 20,
      "vocab_size": 7)" +
                  biases + "}")
        .parameters;
  };
  const std::int64_t none = with("");
  EXPECT_EQ(with(R"(, "attention_bias": true)"), none + 3 * (12 + 4 + 4 + 12));
  EXPECT_EQ(with(R"(, "mlp_bias": true)"), none + 3 * (20 + 20 + 12));
}

TEST(ModelShapes, RefuseWhatTheyDoNotKnow) {
  const auto refuses = [](const std::string& json, const std::string& problem) {
    try {
      shapes(json);
      ADD_FAILURE() << json << " was taken";
    } catch (const BadInput& e) {
      EXPECT_NE(std::string(e.what()).find(problem), std::string::npos) << e.what();
    }
  };
  refuses(R"({"model_type": "t5"})", "model_type");
  refuses(R"({})", "model_type");
  refuses(R"({"model_type": "llama"})", "config.json");
  const std::string sizes = R"("num_attention_heads": 2, "intermediate_size": 4, "vocab_size": 5)";
  refuses(R"({"model_type": "llama", "hidden_size": -8, "num_hidden_layers": 1, )" + sizes + "}",
          "hidden_size");
  refuses(
      R"({"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 100000, )" + sizes + "}",
      "num_hidden_layers");
}

}  // namespace
}  // namespace qlora
