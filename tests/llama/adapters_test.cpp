// Adapters on a model: PEFT's scalings, the fresh start, adapters of another base.
#include "llama/adapters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/json.h"
#include "llama/load.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::golden;
using testing::is_close;

TEST(GoldenVariants, ScalingOfEveryModule) {
  const Json expected = Json::read(golden("variants/golden.json"));
  for (const std::string name : {"rslora", "dora", "patterns", "one_layer"}) {
    LlamaModel model = load_model(golden("llama/a_fp32"));
    attach_lora(model, read_adapter(golden("variants/" + name)));
    const Json& scaling = expected.at(name).at("scaling");
    std::size_t adapted = 0;
    model.for_each_projection([&](const LinearGroup&, const Projection& p) {
      if (p.adapters.empty()) {
        EXPECT_EQ(scaling.find(p.name), nullptr) << p.name;
        return;
      }
      ++adapted;
      // a division, and for rsLoRA a root, in double: the last bit may differ
      EXPECT_TRUE(is_close(p.adapters[0].scaling, scaling.at(p.name).as_number(), 0, 1e-15));
    });
    EXPECT_EQ(adapted, scaling.size()) << name;
  }
}

LoraConfig on_everything(std::int64_t r) {
  LoraConfig config;
  config.r = r;
  config.target_modules = std::string("all-linear");
  return config;
}

TEST(FreshAdapter, AIsUniformWithinItsBoundAndBIsZero) {
  LlamaModel model = load_model(golden("llama/a_fp32"));
  const auto parameters = attach_lora(model, on_everything(16), 7);
  EXPECT_EQ(parameters.size(), 2u * 7u * 3u);
  for (const Parameter& p : parameters) {
    const bool is_A = p.name.find("lora_A") != std::string::npos;
    const float bound = 1.0f / std::sqrt(static_cast<float>(p.value.dim(1)));
    double sum2 = 0;
    for (float x : p.value.span<float>()) {
      EXPECT_LE(std::abs(x), is_A ? bound : 0.0f);
      sum2 += static_cast<double>(x) * x;
    }
    if (!is_A) continue;
    // the variance of U(-b, b) is b²/3; its estimate over n numbers is off by about sqrt(4/5n)
    const auto n = static_cast<double>(p.value.numel());
    EXPECT_TRUE(is_close(sum2 / n, bound * bound / 3, 0, 5 * std::sqrt(0.8 / n))) << p.name;
  }
}

TEST(SavedForm, NamesTheModulesOfAllLinear) {
  LlamaModel model = load_model(golden("llama/a_fp32"));
  attach_lora(model, on_everything(2), 7);
  EXPECT_EQ(saved_form(model, on_everything(2)).config.target_modules,
            NamesOrPattern(std::vector<std::string>{"down_proj", "gate_proj", "k_proj", "o_proj",
                                                    "q_proj", "up_proj", "v_proj"}));
}

TEST(FreshAdapter, DependsOnSeedAndModuleNotOnTheOtherTargets) {
  const auto q_of_layer_1 = [](const LoraConfig& config, std::uint64_t seed) {
    LlamaModel model = load_model(golden("llama/a_fp32"));
    attach_lora(model, config, seed);
    return model.layers[1].qkv.parts[0].adapters[0].A;
  };
  LoraConfig few = on_everything(8);
  few.target_modules = std::vector<std::string>{"q_proj"};
  const Tensor A = q_of_layer_1(on_everything(8), 7);
  EXPECT_TRUE(testing::same_bytes(A, q_of_layer_1(few, 7)));
  EXPECT_FALSE(testing::same_bytes(A, q_of_layer_1(few, 8)));
}

TEST(SavedAdapter, OfAnotherBaseIsRefused) {
  LlamaModel model = load_model(golden("llama/b_fp32"));
  EXPECT_THROW(attach_lora(model, read_adapter(golden("variants/rslora"))), BadInput);
}

TEST(FreshAdapter, ThatNoModuleCarriesIsRefused) {
  LlamaModel model = load_model(golden("llama/a_fp32"));
  LoraConfig config;
  config.target_modules = std::vector<std::string>{"query"};
  EXPECT_THROW(attach_lora(model, config, 0), UsageError);
}

// m = ‖W_n‖ and B = 0: the adapter changes nothing, and its lengths are those of the base in use.
TEST(FreshAdapter, OfDoraStartsAtTheRowsOwnLengths) {
  LoraConfig config = on_everything(4);
  config.use_dora = true;
  for (const std::string folder : {"llama/a_fp32", "llama_nf4/a", "llama_nf4/a_int8"}) {
    LlamaModel model = load_model(golden(folder));
    EXPECT_EQ(attach_lora(model, config, 7).size(), 3u * 7u * 3u);
    LlamaModel dense = load_model(golden(folder));
    dequantize_base(dense);
    std::vector<std::vector<double>> norms;
    dense.for_each_projection([&](const LinearGroup& g, const Projection& p) {
      std::int64_t row = 0;
      for (const Projection* q = g.parts.data(); q != &p; ++q) row += q->N;
      norms.emplace_back();
      for (std::int64_t n = row; n < row + p.N; ++n) {
        double squares = 0;
        for (float w : g.weight.rows(n, n + 1).span<float>()) squares += double{w} * w;
        norms.back().push_back(std::sqrt(squares));
      }
    });
    std::size_t index = 0;
    model.for_each_projection([&](const LinearGroup&, const Projection& p) {
      const Tensor& m = p.adapters.at(0).magnitude;
      for (std::int64_t n = 0; n < p.N; ++n) {
        const double expected = norms[index][static_cast<std::size_t>(n)];
        EXPECT_TRUE(is_close(m.data<float>()[n], expected, 0, 0x1p-23)) << folder << p.name;
      }
      ++index;
    });
  }
}

TEST(QuantizedBase, QuantizingAsLoadingDoes) {
  // Quantizing a loaded model, and quantizing while it is loaded, are one thing.
  LlamaModel later = load_model(golden("llama/a_fp32"));
  quantize_base(later, QuantType::nf4, true, DType::f32);
  const LlamaModel at_once = load_model(golden("llama/a_fp32"), {QuantType::nf4, true, false});
  std::vector<QuantizedTensor> expected;
  at_once.for_each_projection(
      [&](const LinearGroup&, const Projection& p) { expected.push_back(*p.quantized); });
  std::size_t i = 0;
  later.for_each_projection([&](const LinearGroup& g, const Projection& p) {
    EXPECT_FALSE(static_cast<bool>(g.weight));
    EXPECT_TRUE(testing::same_bytes(p.quantized->packed, expected[i].packed)) << p.name;
    EXPECT_TRUE(testing::same_bytes(p.quantized->absmax, expected[i].absmax)) << p.name;
    ++i;
  });
}

}  // namespace
}  // namespace qlora
