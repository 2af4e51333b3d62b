#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/matcher.h"

namespace qlora {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Tensor counting(Shape shape) {
  Tensor t = Tensor::empty(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(i);
  return t;
}

TEST(Shape, NumberOfElements) {
  EXPECT_EQ(numel_of({}), 1);
  EXPECT_EQ(numel_of({3, 5, 7}), 105);
  EXPECT_EQ(numel_of({3, 0, 7}), 0);
  EXPECT_EQ(to_string(Shape{2, 3}), "[2, 3]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_THROW(numel_of({2, -1}), std::invalid_argument);
  EXPECT_THROW(numel_of({kMax, 2}), std::overflow_error);
  EXPECT_THROW(numel_of({1LL << 32, 1LL << 32}), std::overflow_error);  // 2^64 wraps to zero
}

TEST(Tensor, AnEmptyOneIsFalse) {
  EXPECT_FALSE(Tensor());
  EXPECT_TRUE(Tensor::empty(DType::f32, {0}));  // no elements, but a tensor
  EXPECT_EQ(Tensor::empty(DType::f32, {4, 0}).nbytes(), 0u);
}

TEST(Tensor, MemoryIsAlignedAndZerosAreZero) {
  for (std::int64_t n : {1, 7, 64, 1000}) {
    const Tensor t = Tensor::zeros(DType::bf16, {n});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.raw()) % 64, 0u);
    EXPECT_EQ(t.nbytes(), static_cast<std::size_t>(2 * n));
    for (BFloat16 b : t.span<BFloat16>()) EXPECT_EQ(b.bits, 0);
  }
}

TEST(Tensor, WhatCannotBeAllocatedThrows) {
  EXPECT_THROW(Tensor::empty(DType::f64, {kMax / 4}), std::bad_alloc);
  EXPECT_THROW(Tensor::empty(DType::f64, {kMax, 2}), std::overflow_error);
}

TEST(Tensor, OnlyItsOwnTypeIsGivenOut) {
  const Tensor t = Tensor::zeros(DType::f32, {2});
  EXPECT_NO_THROW(t.data<float>());
  EXPECT_THROW(t.data<double>(), std::invalid_argument);
  EXPECT_THROW(t.data<std::int32_t>(), std::invalid_argument);
}

TEST(Tensor, FromCopiesAsManyValuesAsTheShapeHas) {
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from<float>(values, {2, 3});
  values[0] = 9;
  EXPECT_EQ(t.data<float>()[0], 1);
  EXPECT_EQ(t.data<float>()[5], 6);
  EXPECT_THROW(Tensor::from<float>(values, {2, 2}), std::invalid_argument);
}

TEST(Tensor, CopiesShareMemoryAndClonesDoNot) {
  const Tensor t = counting({2, 2});
  const Tensor copy = t;  // NOLINT(performance-unnecessary-copy-initialization): what is tested
  const Tensor clone = t.clone();
  t.data<float>()[3] = 42;
  EXPECT_EQ(copy.data<float>()[3], 42);
  EXPECT_EQ(clone.data<float>()[3], 3);
}

TEST(Tensor, DimensionsCountFromBothEnds) {
  const Tensor t = counting({2, 3, 5});
  EXPECT_EQ(t.rank(), 3);
  EXPECT_EQ(t.dim(0), 2);
  EXPECT_EQ(t.dim(-1), 5);
  EXPECT_EQ(t.dim(-3), 2);
  EXPECT_THROW(t.dim(3), std::invalid_argument);
  EXPECT_THROW(t.dim(-4), std::invalid_argument);
}

TEST(Tensor, ReshapeAndRowsShareMemory) {
  const Tensor t = counting({4, 3});
  const Tensor flat = t.reshape({2, 6});
  EXPECT_EQ(flat.raw(), t.raw());
  EXPECT_EQ(flat.shape(), (Shape{2, 6}));
  EXPECT_THROW(t.reshape({5}), std::invalid_argument);
  const Tensor rows = t.rows(1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  EXPECT_EQ(rows.data<float>()[0], 3);
  EXPECT_EQ(rows.numel(), 6);
  EXPECT_EQ(t.rows(2, 2).numel(), 0);
  EXPECT_EQ(t.rows(4, 4).numel(), 0);
  EXPECT_EQ(Tensor::zeros(DType::f32, {0, 3}).rows(0, 0).numel(), 0);
  EXPECT_THROW(t.rows(3, 5), std::invalid_argument);
  EXPECT_THROW(t.rows(2, 1), std::invalid_argument);
  EXPECT_THROW(t.rows(-1, 1), std::invalid_argument);
  EXPECT_THROW(Tensor::zeros(DType::f32, {}).rows(0, 0), std::invalid_argument);
}

TEST(Tensor, AViewKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const std::weak_ptr<std::vector<float>> alive = owner;
  Tensor t = Tensor::view(DType::f32, {3}, owner->data(), owner);
  owner.reset();
  const Tensor row = t.rows(1, 2);
  t = Tensor();
  EXPECT_FALSE(alive.expired());
  EXPECT_EQ(row.data<float>()[0], 2);
}

TEST(Tensor, ConversionsRoundOnce) {
  const std::vector<double> values{0.0, -1.0, 1.0 / 3.0, 65504.0, 1e-8, 3e38};
  const Tensor t = Tensor::from<double>(values, {2, 3});
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const Tensor narrow = t.to(dtype);
    EXPECT_EQ(narrow.dtype(), dtype);
    EXPECT_EQ(narrow.shape(), t.shape());
  }
  const Tensor half = t.to(DType::f16);
  EXPECT_EQ(half.data<Half>()[2].bits, 0x3555);  // 1/3
  EXPECT_EQ(half.data<Half>()[3].bits, 0x7bff);
  EXPECT_EQ(half.data<Half>()[5].bits, 0x7c00);  // infinity
  EXPECT_EQ(t.to(DType::bf16).data<BFloat16>()[2].bits, 0x3eab);
  EXPECT_TRUE(testing::same_bytes(half.to(DType::f32).to(DType::f16), half));  // widening is exact
  EXPECT_EQ(t.to(DType::f64).raw(), t.raw());                                  // itself
  EXPECT_THROW(t.to(DType::i32), std::invalid_argument);
  EXPECT_THROW(Tensor::zeros(DType::i8, {1}).to(DType::f32), std::invalid_argument);
}

TEST(Tensor, ADoubleIsNotRoundedTwiceOnItsWayTo16Bits) {
  // 1 + 2^-11 is a tie between two halves; 2^-30 above it must round up, though float32 cannot see
  // it.
  const Tensor t = Tensor::from<double>(std::vector{1.0 + 0x1p-11 + 0x1p-30}, {1});
  EXPECT_EQ(t.to(DType::f16).data<Half>()[0].bits, 0x3c01);
  const Tensor u = Tensor::from<double>(
      std::vector{1.0 + 0x1p-8 + 0x1p-30, 1.0 + 0x1p-8, -1.0 - 0x1p-8 - 0x1p-30, 1e300, 1e-300,
                  std::numeric_limits<double>::infinity()},
      {6});
  const Tensor narrow = u.to(DType::bf16);
  const std::uint16_t expected[] = {0x3f81, 0x3f80, 0xbf81, 0x7f80, 0x0000, 0x7f80};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(narrow.data<BFloat16>()[i].bits, expected[i]) << i;
}

}  // namespace
}  // namespace qlora
