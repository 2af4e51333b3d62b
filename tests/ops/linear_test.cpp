// The QLoRA linear forward: a frozen base in 4 bits, and adapters beside it.
#include <gtest/gtest.h>

#include "linear_by_hand.h"

namespace qlora {
namespace {

using testing::adapters_of;
using testing::all_close;
using testing::base_of;
using testing::effective;
using testing::forward;
using testing::group_in_nf4;
using testing::kDouble;
using testing::kK;
using testing::kTokens;
using testing::normal_tensor;
using testing::product;
using testing::same_bytes;

TEST(QloraLinear, IsTheDequantizedBaseAndTheUpdate) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  EXPECT_TRUE(all_close(forward(group, x), product(x, effective(group)), kDouble));
}

TEST(QloraLinear, PartsStandSideBySide) {
  LinearGroup group = group_in_nf4();
  for (Projection& p : group.parts) p.adapters.clear();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  EXPECT_TRUE(all_close(forward(group, x), product(x, base_of(group)), kDouble));
}

TEST(QloraLinear, AnAdapterReachesTheColumnsOfItsPartOnly) {
  LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2), with = forward(group, x);
  group.parts[1].adapters.clear();
  const Tensor without = forward(group, x);
  for (std::int64_t i = 0; i < with.numel(); ++i) {
    const std::int64_t column = i % 12;
    const bool reached = column >= 3 && column < 8;
    EXPECT_EQ(with.data<double>()[i] != without.data<double>()[i], reached) << column;
  }
}

TEST(QloraLinear, AddsTheResidual) {
  for (const bool dense : {false, true}) {
    LinearGroup group = group_in_nf4();
    if (dense) group.weight = base_of(group);
    const Tensor x = normal_tensor({kTokens, kK}, 2);
    const Tensor residual = normal_tensor({kTokens, 12}, 3), before = residual.clone();
    Tensor expected = product(x, effective(group));
    for (std::int64_t i = 0; i < expected.numel(); ++i) {
      expected.data<double>()[i] += before.data<double>()[i];
    }
    EXPECT_TRUE(all_close(forward(group, x, residual), expected, kDouble)) << dense;
    EXPECT_TRUE(same_bytes(residual, before)) << "the residual is another's";
  }
}

TEST(QloraLinear, SavesTheInputThroughEachA) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
  const Tensor y = forward(group, x, Tensor(), {}, &saved);
  const std::vector<Adapter> adapters = adapters_of(group);
  ASSERT_EQ(saved.u.size(), adapters.size());
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    EXPECT_TRUE(all_close(saved.u[i], product(x, adapters[i].A), kDouble)) << i;
  }
  EXPECT_TRUE(same_bytes(y, forward(group, x))) << "and what is saved changes nothing";
}

// With checkpointing u is made again before the backward pass, where nobody wants y.
TEST(QloraLinear, WithoutAnOutputOnlyUIsMade) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
  cpu::linear_forward<double>(group, x, Tensor(), {}, arena, Tensor(), &saved);
  const std::vector<Adapter> adapters = adapters_of(group);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    EXPECT_TRUE(all_close(saved.u[i], product(x, adapters[i].A), kDouble)) << i;
  }
}

TEST(QloraLinear, DropoutIsOfTheAdaptersAndOfTrainingOnly) {
  LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2), plain = forward(group, x);
  for (Projection& p : group.parts) {
    for (Adapter& a : p.adapters) a.dropout = 0.4f;
  }
  const DropoutRun training{true, 5, 11}, evaluation{false, 5, 11};
  EXPECT_TRUE(same_bytes(forward(group, x, Tensor(), evaluation), plain));
  const Tensor dropped = forward(group, x, Tensor(), training);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t n = 0; n < 3; ++n) {  // of the part without adapters
      EXPECT_EQ(dropped.data<double>()[t * 12 + n], plain.data<double>()[t * 12 + n]);
    }
  }
  EXPECT_FALSE(same_bytes(dropped, plain));
}

}  // namespace
}  // namespace qlora
