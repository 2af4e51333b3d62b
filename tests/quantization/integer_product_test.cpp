#include "quantization/integer_product.h"

#include "fixtures.h"

namespace qlora {
namespace {

// Integers of the whole range of Int, no pattern in them.
template <typename Int>
std::vector<Int> integers(std::size_t n, std::uint64_t seed) {
  const Random random{seed, 1};
  std::vector<Int> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<Int>(random.bits(i));
  return out;
}

template <typename Int>
void expect_exact(std::int64_t T, std::int64_t N, std::int64_t K) {
  SCOPED_TRACE(std::to_string(T) + " " + std::to_string(N) + " " + std::to_string(K));
  const auto a = integers<Int>(static_cast<std::size_t>(T * K), 1);
  const auto w = integers<std::int8_t>(static_cast<std::size_t>(N * K), 2);
  std::vector<std::int32_t> acc(static_cast<std::size_t>(T * N), -1);
  integer_product<Int>(a, w, T, N, K, acc);
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t n = 0; n < N; ++n) {
      std::int64_t sum = 0;
      for (std::int64_t k = 0; k < K; ++k) {
        sum += std::int64_t{a[static_cast<std::size_t>(t * K + k)]} *
               w[static_cast<std::size_t>(n * K + k)];
      }
      EXPECT_EQ(acc[static_cast<std::size_t>(t * N + n)], sum) << t << ' ' << n;
    }
  }
}

TEST(IntegerProduct, EqualsSumsIn64Bits) {
  expect_exact<std::int8_t>(3, 5, 70);
  expect_exact<std::int8_t>(1, 33, 257);
  expect_exact<std::uint8_t>(4, 7, 31);
  expect_exact<std::uint8_t>(1, 1, 0);
}

TEST(IntegerProduct, TheLargestSumsFit) {
  const std::vector<std::uint8_t> a(65536, 255);
  const std::vector<std::int8_t> w(65536, -128);
  std::vector<std::int32_t> acc(1);
  integer_product<std::uint8_t>(a, w, 1, 1, 65536, acc);
  EXPECT_EQ(acc[0], -2139095040);  // 65536 * 255 * -128
}

TEST(IntegerProduct, RefusesSizesThatDoNotFit) {
  const std::vector<std::int8_t> a(6);
  const std::vector<std::int8_t> w(12);
  std::vector<std::int32_t> acc(8);
  EXPECT_NO_THROW(integer_product<std::int8_t>(a, w, 2, 4, 3, acc));
  EXPECT_THROW(integer_product<std::int8_t>(a, w, 2, 3, 3, acc), std::invalid_argument);
  EXPECT_THROW(integer_product<std::int8_t>(a, w, 2, 4, 2, acc), std::invalid_argument);
  EXPECT_THROW(integer_product<std::int8_t>(a, w, -2, -4, -3, acc), std::invalid_argument);
  EXPECT_THROW(integer_product<std::int8_t>(a, w, INT64_MAX, 4, 3, acc), std::invalid_argument);
  const std::vector<std::int8_t> long_row(65537);
  std::vector<std::int32_t> one(1);
  EXPECT_THROW(integer_product<std::int8_t>(long_row, long_row, 1, 1, 65537, one),
               std::invalid_argument);
}

}  // namespace
}  // namespace qlora
