#include "core/arena.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace qlora {
namespace {

TEST(Arena, TensorsDoNotOverlap) {
  Arena arena;
  std::vector<Tensor> taken;
  for (std::int64_t n : {1, 7, 64, 1000, 3'000'000, 5}) {
    taken.push_back(arena.take(DType::u8, {n}));
    const Tensor& t = taken.back();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.raw()) % 64, 0u);
    std::fill_n(t.data<std::uint8_t>(), n, static_cast<std::uint8_t>(taken.size()));
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    for (std::uint8_t byte : taken[i].span<std::uint8_t>()) ASSERT_EQ(byte, i + 1);
  }
}

TEST(Arena, AReleasedMarkGivesTheSameMemoryAgain) {
  Arena arena;
  arena.take(DType::f32, {10});
  const Arena::Mark mark = arena.mark();
  const void* first = arena.take(DType::f32, {1'000'000}).raw();
  arena.take(DType::f32, {10'000'000});  // a block of its own
  arena.release(mark);
  EXPECT_EQ(arena.take(DType::f32, {1'000'000}).raw(), first);
  const std::size_t peak = arena.peak_bytes();
  arena.release(mark);
  arena.take(DType::f32, {1'000'000});
  EXPECT_EQ(arena.peak_bytes(), peak);  // the second round needs nothing new
}

TEST(Arena, AScopeReleasesAtItsEnd) {
  Arena arena;
  const void* inside = nullptr;
  {
    const ArenaScope scope(arena);
    inside = arena.take(DType::f64, {3}).raw();
  }
  EXPECT_EQ(arena.take(DType::f64, {3}).raw(), inside);
}

TEST(Arena, ZerosAreZeroInMemoryThatWasUsed) {
  Arena arena;
  {
    const ArenaScope scope(arena);
    std::fill_n(arena.values<float>({100}), 100, 1.0f);
  }
  for (float x : arena.take_zeros(DType::f32, {100}).span<float>()) EXPECT_EQ(x, 0.0f);
}

TEST(Arena, WhatIsReservedIsOneBlockThatGrowsByLittle) {
  constexpr std::size_t kReserved = std::size_t{64} << 20;
  Arena arena;
  arena.reserve(kReserved);
  for (int i = 0; i < 64; ++i) arena.take(DType::u8, {std::int64_t{1} << 20});
  EXPECT_EQ(arena.held_bytes(), kReserved);
  arena.take(DType::u8, {1});
  EXPECT_LE(arena.held_bytes(), kReserved + (std::size_t{4} << 20));
  EXPECT_THROW(arena.reserve(kReserved), std::invalid_argument);
}

TEST(Arena, EmptyShapesTakeNothing) {
  Arena arena;
  EXPECT_EQ(arena.take(DType::f32, {0, 5}).numel(), 0);
  EXPECT_EQ(arena.peak_bytes(), 0u);
}

TEST(Arena, ATensorOutlivesTheArena) {
  Tensor t;
  {
    Arena arena;
    t = arena.take_zeros(DType::f32, {1000});
  }
  EXPECT_EQ(t.data<float>()[999], 0.0f);
}

}  // namespace
}  // namespace qlora
