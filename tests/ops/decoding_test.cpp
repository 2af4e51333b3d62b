// What generation needs beside the decoder's own ops.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops.h"

namespace qlora {
namespace {

TEST(Decoding, ArgmaxIsTheFirstOfTheLargest) {
  const std::vector<float> logits{1, 3, 3, -2, NAN, -INFINITY, NAN, -1, NAN, NAN, NAN, NAN};
  const Tensor ids = Tensor::empty(DType::i32, {3});
  ops::argmax(Tensor::from<float>(logits, {3, 4}), ids);
  EXPECT_EQ(ids.data<std::int32_t>()[0], 1);
  EXPECT_EQ(ids.data<std::int32_t>()[1], 3);
  EXPECT_EQ(ids.data<std::int32_t>()[2], 0);
}

TEST(Decoding, IncrementAddsOne) {
  const std::vector<std::int32_t> counts{-1, 7};
  const Tensor t = Tensor::from<std::int32_t>(counts, {2});
  ops::increment(t);
  EXPECT_EQ(t.data<std::int32_t>()[0], 0);
  EXPECT_EQ(t.data<std::int32_t>()[1], 8);
}

// Rows of qkv with one query head and one key-value head of 2: q, k, v.
TEST(Decoding, AppendedRowsStandAtTheirPositions) {
  const AttentionShape s{1, 2, 4, 1, 1, 2};
  const std::vector<float> rows{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<std::int32_t> at{3, 1};
  const Tensor keys = Tensor::zeros(DType::f32, {1, 4, 2}), values = keys.clone();
  ops::append_to_cache(s, Tensor::from<float>(rows, {2, 6}), Tensor::from<std::int32_t>(at, {2}),
                       keys, values);
  const std::vector<float> expected_keys{0, 0, 9, 10, 0, 0, 3, 4};
  const std::vector<float> expected_values{0, 0, 11, 12, 0, 0, 5, 6};
  EXPECT_EQ(std::vector<float>(keys.data<float>(), keys.data<float>() + 8), expected_keys);
  EXPECT_EQ(std::vector<float>(values.data<float>(), values.data<float>() + 8), expected_values);
  const std::vector<std::int32_t> beyond{4, 1};
  EXPECT_THROW(ops::append_to_cache(s, Tensor::from<float>(rows, {2, 6}),
                                    Tensor::from<std::int32_t>(beyond, {2}), keys, values),
               std::invalid_argument);
}

}  // namespace
}  // namespace qlora
