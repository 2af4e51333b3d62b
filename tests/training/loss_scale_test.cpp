// Loss scaling, and a step whose gradients are not finite.
#include "training/loss_scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/matcher.h"
#include "training/optimizer.h"

namespace qlora {
namespace {

using testing::is_close;

TEST(LossScale, IsHalvedByAnOverflowAndDoubledAfter2000GoodSteps) {
  LossScale scale = LossScale::of(DType::f16);
  EXPECT_EQ(scale.value, 65536.0);
  EXPECT_TRUE(scale.after_step(false, DType::f16));
  EXPECT_EQ(scale.value, 32768.0);
  for (int i = 0; i < 1999; ++i) EXPECT_TRUE(scale.after_step(true, DType::f16));
  EXPECT_EQ(scale.value, 32768.0);
  EXPECT_TRUE(scale.after_step(true, DType::f16));
  EXPECT_EQ(scale.value, 65536.0);
  EXPECT_EQ(scale.good_steps, 0);
}

TEST(LossScale, GivesUpWhereNoScaleHelps) {
  LossScale scale = LossScale::of(DType::f16);
  int skipped = 0;
  while (scale.after_step(false, DType::f16)) ++skipped;
  EXPECT_EQ(skipped, 16);  // 65536 = 2^16: the last scale that is tried is 1
}

TEST(LossScale, OtherArithmeticHasNone) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    LossScale scale = LossScale::of(dtype);
    EXPECT_TRUE(scale.after_step(true, dtype));
    EXPECT_EQ(scale.value, 1.0);
    EXPECT_FALSE(scale.after_step(false, dtype));
  }
}

Parameter parameter_of(std::vector<float> value, std::vector<float> grad) {
  const auto n = static_cast<std::int64_t>(value.size());
  return {"w", Tensor::from<float>(value, {1, n}), Tensor::from<float>(grad, {1, n})};
}

// Powers of two scale exactly: the step is the same to the bit, and so is the norm that is told.
TEST(LossScale, ScaledGradientsGiveTheSameStep) {
  TrainingArguments arguments;
  arguments.max_grad_norm = 0.5;
  const Parameter plain = parameter_of({1, -2}, {3, 4}), scaled = parameter_of({1, -2}, {192, 256});
  AdamW first({plain}, arguments), second({scaled}, arguments);
  first.step(1e-2);
  second.step(1e-2, 64.0);
  EXPECT_EQ(first.gradient_norm(), 5.0);
  EXPECT_EQ(second.gradient_norm(), 5.0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(plain.value.data<float>()[i], scaled.value.data<float>()[i]);
  }
}

TEST(LossScale, AStepThatIsNotFiniteChangesNothingAndIsNotCounted) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const Parameter p = parameter_of({1, -2}, {bad, 4});
    AdamW optimizer({p}, {});
    optimizer.step(1e-2);
    EXPECT_FALSE(std::isfinite(optimizer.gradient_norm()));
    EXPECT_EQ(optimizer.steps(), 0);
    EXPECT_EQ(p.value.data<float>()[0], 1.0f);
    EXPECT_EQ(p.value.data<float>()[1], -2.0f);
    EXPECT_EQ(optimizer.state()[1].second.data<float>()[1], 0.0f);  // the first moment
    p.grad.data<float>()[0] = 3.0f;
    optimizer.step(1e-2);
    EXPECT_EQ(optimizer.gradient_norm(), 5.0);
    EXPECT_EQ(optimizer.steps(), 1);
    // Adam's first step is lr in the gradient's direction, to eps over its size
    EXPECT_TRUE(is_close(p.value.data<float>()[0], 0.99, 1e-6));
  }
}

}  // namespace
}  // namespace qlora
