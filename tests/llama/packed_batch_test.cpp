// A batch of packed rows against the same examples in rows of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/random.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/load.h"
#include "llama/placement.h"
#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "text/packing.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::close_to_largest;
using testing::golden;
using testing::is_close;
using testing::same_bytes;

// Examples of 2 to 90 tokens, whose first third is a prompt: more than a block of 64 queries, and
// several to a row of 100.
std::vector<TokenizedExample> examples() {
  std::vector<TokenizedExample> out;
  const Random random{3, 1};
  std::uint64_t draw = 0;
  for (const std::size_t length : {90, 7, 40, 2, 33, 25, 3, 61, 9, 14}) {
    TokenizedExample& e = out.emplace_back();
    for (std::size_t t = 0; t < length; ++t) {
      e.input_ids.push_back(static_cast<std::int32_t>(random.below(draw++, 380)));
      e.labels.push_back(t < length / 3 ? kIgnoredLabel : e.input_ids.back());
    }
  }
  return out;
}

Batch all_of(std::span<const TokenizedExample> rows) {
  std::vector<std::int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  return collate(rows, order, 0);
}

LlamaModel model_with_adapters(const std::string& folder, DType dtype) {
  LlamaModel model = load_model(golden(folder));
  LoraConfig lora;
  lora.r = 4;
  lora.target_modules = std::string("all-linear");
  std::uint64_t seed = 500;
  for (const Parameter& p : attach_lora(model, lora, 5)) {  // B too: else A has no gradient
    const Tensor values = testing::normal_tensor(p.value.shape(), seed++, 0.05).to(DType::f32);
    std::ranges::copy(values.span<float>(), p.value.data<float>());
  }
  model = placed({Device::cpu, dtype}, model);
  model.reserve_positions(90);  // the longest example; rows are longer
  return model;
}

// One pass over a batch: mean loss, and the adapters' gradients.
struct Pass {
  LlamaModel model;  // a copy, whose gradients are its own
  std::vector<Parameter> parameters;
  double loss = 0;

  Pass(const LlamaModel& shared, const Batch& batch, ActivationPolicy policy)
      : model(placed({Device::cpu, shared.arithmetic()}, shared)),
        parameters(adapter_parameters(model)) {
    const double scale = 1.0 / static_cast<double>(batch.supervised);
    Arena arena;
    loss = scale * loss_backward(model, batch, {{}, policy, scale}, arena);
  }
};

void expect_equal_passes(const std::string& folder, DType dtype, double bound) {
  const LlamaModel model = model_with_adapters(folder, dtype);
  const auto unpacked = examples();
  const auto rows = pack(unpacked, 100);
  ASSERT_EQ(rows.size(), 3u);  // 284 tokens
  for (const ActivationPolicy policy : {ActivationPolicy::keep, ActivationPolicy::checkpoint}) {
    const Pass apart(model, all_of(unpacked), policy);
    const Pass together(model, all_of(rows), policy);
    EXPECT_TRUE(is_close(together.loss, apart.loss, 0, bound));
    ASSERT_EQ(together.parameters.size(), apart.parameters.size());
    for (std::size_t i = 0; i < apart.parameters.size(); ++i) {
      EXPECT_TRUE(close_to_largest(together.parameters[i].grad, apart.parameters[i].grad, bound))
          << apart.parameters[i].name;
    }
  }
}

// The same sums in another order: eps = 1.1e-16 times some 1e4 terms is 1e-12, times what three
// layers of softmax and norms magnify.
TEST(PackedBatch, GradientsInDoubleAreThoseOfTheUnpackedRows) {
  expect_equal_passes("llama/a_fp32", DType::f64, 1e-10);
  expect_equal_passes("llama_nf4/a", DType::f64, 1e-10);
}

// Either is off from the exact gradients by what one order of summation in float32 costs, at most
// 5.1e-6 of a tensor's largest in the golden files (tests/training); twice that, and a factor of 2.
TEST(PackedBatch, GradientsInFloatAreThoseOfTheUnpackedRows) {
  expect_equal_passes("llama/a_fp32", DType::f32, 2e-5);
  expect_equal_passes("llama_nf4/a", DType::f32, 2e-5);
}

Tensor logits_of(const LlamaModel& model, const Batch& batch) {
  Arena arena;
  const Tensor h = hidden_forward(model, batch, arena);
  const Tensor logits = Tensor::empty(h.dtype(), {h.dim(0), model.config.vocab_size});
  ops::head_forward(h, model.lm_head, logits);
  return logits;
}

TEST(PackedBatch, AChangedTokenOfOneExampleChangesNoBitOfAnother) {
  const LlamaModel model = model_with_adapters("llama_nf4/a", DType::f32);
  const auto unpacked = examples();
  const auto rows = pack(std::span(unpacked).subspan(1, 5), 107);  // 40 33 25 7 2 tokens
  ASSERT_EQ(rows.size(), 1u);
  const Batch batch = all_of(rows);
  const Tensor before = logits_of(model, batch);
  const std::int64_t begins[] = {0, 40, 73, 98, 105, 107};
  for (std::size_t changed = 0; changed < 5; ++changed) {
    Batch other = batch;
    other.input_ids = batch.input_ids.clone();
    std::int32_t& token = other.input_ids.data<std::int32_t>()[begins[changed]];
    token = (token + 1) % 380;
    const Tensor after = logits_of(model, other);
    for (std::size_t i = 0; i < 5; ++i) {
      const auto example = [&](const Tensor& t) { return t.rows(begins[i], begins[i + 1]); };
      EXPECT_EQ(same_bytes(example(after), example(before)), i != changed) << changed << " " << i;
    }
  }
}

// Positions begin anew: an example's logits are those that it has in a row of its own. In double
// the order of summation costs some 1e-13 of logits of order ten.
TEST(PackedBatch, AnExamplesLogitsAreThoseThatItHasAlone) {
  const LlamaModel model = model_with_adapters("llama/a_fp32", DType::f64);
  const auto unpacked = examples();
  const auto rows = pack(std::span(unpacked).subspan(1, 2), 47);
  const Tensor together = logits_of(model, all_of(rows));
  EXPECT_TRUE(all_close(together.rows(0, 40), logits_of(model, all_of({&unpacked[2], 1})), 1e-10));
  EXPECT_TRUE(all_close(together.rows(40, 47), logits_of(model, all_of({&unpacked[1], 1})), 1e-10));
  // What is lost without positions and segments of its own is not small.
  Batch one = all_of(rows);
  one.position_ids = Tensor();
  EXPECT_FALSE(all_close(logits_of(model, one).rows(40, 47), together.rows(40, 47), 1e-2));
}

TEST(PackedBatch, NeedsTablesForTheLongestExampleAlone) {
  LlamaModel model = model_with_adapters("llama/a_fp32", DType::f32);
  model.rope_cos = model.rope_cos.rows(0, 40).clone();
  model.rope_sin = model.rope_sin.rows(0, 40).clone();
  const auto unpacked = examples();
  EXPECT_NO_THROW(logits_of(model, all_of(pack(std::span(unpacked).subspan(1, 5), 107))));
  EXPECT_THROW(logits_of(model, all_of(std::span(unpacked).first(1))), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
