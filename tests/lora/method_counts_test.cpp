// The LoRA paper's formulas, against its table of GPT-3 175B (arXiv 2106.09685, table 15) and
// against counting one by one.
#include "lora/method_counts.h"

#include <gtest/gtest.h>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

constexpr SquareDecoder kGpt3{12288, 96};

// All parameters of a GPT, tensor by tensor.
std::int64_t gpt_by_tensors(std::int64_t d, std::int64_t L, std::int64_t V, std::int64_t P) {
  std::int64_t sum = V * d + P * d;  // tokens, learned positions; the head is the embedding
  for (std::int64_t l = 0; l < L; ++l) {
    sum += d + d;              // LayerNorm before attention
    sum += d * 3 * d + 3 * d;  // q, k, v and their biases
    sum += d * d + d;          // output projection
    sum += d + d;              // LayerNorm before the MLP
    sum += d * 4 * d + 4 * d;  // up
    sum += 4 * d * d + d;      // down
  }
  return sum + d + d;  // last LayerNorm
}

TEST(MethodCounts, FineTuneIsEveryTensor) {
  EXPECT_EQ(gpt_parameters(kGpt3, 50257, 2048), 174'604'259'328);
  EXPECT_EQ(gpt_parameters(kGpt3, 50257, 2048), gpt_by_tensors(12288, 96, 50257, 2048));
  EXPECT_EQ(gpt_parameters({6, 5}, 11, 7), gpt_by_tensors(6, 5, 11, 7));
  EXPECT_EQ(gpt_parameters({768, 12}, 50257, 1024), 124'439'808) << "GPT-2 small";
}

TEST(MethodCounts, PrefixEmbedIsAnEmbeddingEach) {
  EXPECT_EQ(prefix_embed_parameters(kGpt3, 32, 8), 491'520);
  EXPECT_EQ(prefix_embed_parameters(kGpt3, 512, 8), 6'389'760);
  EXPECT_EQ(prefix_embed_parameters({5, 100}, 3, 4), 35) << "layers do not matter";
}

TEST(MethodCounts, PrefixLayerIsThatInEveryLayer) {
  EXPECT_EQ(prefix_layer_parameters(kGpt3, 2, 2), 4'718'592);
  EXPECT_EQ(prefix_layer_parameters(kGpt3, 64, 0), 75'497'472);
  EXPECT_EQ(prefix_layer_parameters({5, 7}, 3, 4), 7 * prefix_embed_parameters({5, 7}, 3, 4));
}

TEST(MethodCounts, AdapterHIsTwoBottlenecksALayer) {
  EXPECT_EQ(adapter_h_parameters(kGpt3, 1, 0), 7'078'080);
  EXPECT_EQ(adapter_h_parameters(kGpt3, 64, 0), 304'361'472);
  // By hand, d = 3, L = 1, r = 2: 2 · (3·2 + 2 + 2·3 + 3) = 34.
  EXPECT_EQ(adapter_h_parameters({3, 1}, 2, 0), 34);
  EXPECT_EQ(adapter_h_parameters({3, 1}, 2, 2), 34 + 2 * 2 * 3) << "gain and bias of two norms";
}

TEST(MethodCounts, LoraOnSquareMatrices) {
  EXPECT_EQ(square_lora_parameters(kGpt3, 2), 4'718'592);
  EXPECT_EQ(square_lora_parameters(kGpt3, 4), 9'437'184);
  EXPECT_EQ(square_lora_parameters(kGpt3, 256), 603'979'776) << "64 on each of four";
  EXPECT_EQ(square_lora_parameters({5, 3}, 1), 3 * (5 + 5));
}

TEST(MethodCounts, OneMatrixOfTheWholeModel) {
  EXPECT_TRUE(is_close(one_matrix_parameters(7e9, 1), 167'332.0053, 1e-4));
  EXPECT_EQ(one_matrix_parameters(1e6, 8), 16'000.0) << "1000 x 8 and 8 x 1000";
  EXPECT_EQ(one_matrix_parameters(4e6, 8), 2 * one_matrix_parameters(1e6, 8));
}

}  // namespace
}  // namespace qlora
