#include "lora/combine.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/matmul.h"
#include "lora/svd.h"

namespace qlora {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

std::size_t count(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(rows * columns);
}

void check_sizes(std::span<const WeightedLora> adapters, const char* what) {
  require(!adapters.empty(), what, "at least one adapter");
  for (const WeightedLora& a : adapters) {
    require(a.lora.K == adapters[0].lora.K && a.lora.N == adapters[0].lora.N, what,
            "adapters of one linear layer");
  }
}

std::vector<double> widened(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

std::vector<float> narrowed(const std::vector<double>& values) {
  std::vector<float> out(values.size());
  std::ranges::transform(values, out.begin(), [](double x) { return static_cast<float>(x); });
  return out;
}

// The first R columns of a matrix (rows,P).
std::vector<double> first_columns(const std::vector<double>& matrix, std::int64_t rows,
                                  std::int64_t P, std::int64_t R) {
  std::vector<double> out;
  for (std::int64_t row = 0; row < rows; ++row) {
    out.insert(out.end(), matrix.begin() + row * P, matrix.begin() + row * P + R);
  }
  return out;
}

}  // namespace

LoraFactors combine_linear(std::span<const WeightedLora> adapters) {
  check_sizes(adapters, "combine_linear");
  const auto& [K, N, R, A0, B0, s0] = adapters[0].lora;
  LoraFactors sum{R, std::vector<float>(count(R, K)), std::vector<float>(count(N, R))};
  for (const WeightedLora& a : adapters) {
    require(a.lora.R == R, "combine_linear", "adapters of one rank");
    const double factor = a.weight * static_cast<double>(a.lora.scaling);
    const auto root = static_cast<float>(std::sqrt(std::abs(factor)));
    const float signed_root = factor < 0 ? -root : root;
    for (std::size_t i = 0; i < sum.A.size(); ++i) sum.A[i] += signed_root * a.lora.A[i];
    for (std::size_t i = 0; i < sum.B.size(); ++i) sum.B[i] += root * a.lora.B[i];
  }
  return sum;
}

LoraFactors combine_cat(std::span<const WeightedLora> adapters) {
  check_sizes(adapters, "combine_cat");
  const std::int64_t K = adapters[0].lora.K, N = adapters[0].lora.N;
  LoraFactors all;
  for (const WeightedLora& a : adapters) all.R += a.lora.R;
  all.B.resize(count(N, all.R));
  // [cat]
  std::int64_t column = 0;
  for (const WeightedLora& a : adapters) {
    const auto factor = static_cast<float>(a.weight * static_cast<double>(a.lora.scaling));
    for (std::int64_t i = 0; i < a.lora.R * K; ++i) all.A.push_back(factor * a.lora.A[i]);
    for (std::int64_t n = 0; n < N; ++n) {
      std::copy_n(a.lora.B + n * a.lora.R, a.lora.R, all.B.begin() + n * all.R + column);
    }
    column += a.lora.R;
  }
  // [/cat]
  return all;
}

// B = U_b S_b V_bᵀ and A = U_a S_a V_aᵀ; B · A = U_b · (S_b V_bᵀ U_a S_a) · V_aᵀ, and the matrix in
// the middle is small: its singular values are those of the product.
LoraFactors combine_svd(std::span<const WeightedLora> adapters, std::int64_t R) {
  require(R >= 1, "combine_svd", "a rank of at least 1");
  const LoraFactors all = combine_cat(adapters);
  const std::int64_t K = adapters[0].lora.K, N = adapters[0].lora.N;
  const Svd b = svd(N, all.R, widened(all.B)), a = svd(all.R, K, widened(all.A));
  std::vector<double> middle(count(b.P, a.P));
  matmul<double>(kYes, kNo, b.P, a.P, all.R, 1.0, b.V.data(), b.P, a.U.data(), a.P, 0.0,
                 middle.data(), a.P);
  for (std::int64_t i = 0; i < b.P; ++i) {
    for (std::int64_t j = 0; j < a.P; ++j) {
      middle[count(i, a.P) + count(j, 1)] *= b.s[count(i, 1)] * a.s[count(j, 1)];
    }
  }
  const Svd small = svd(b.P, a.P, middle);
  const std::int64_t rank = std::min(R, small.P);
  std::vector<double> U = first_columns(small.U, b.P, small.P, rank);
  const std::vector<double> V = first_columns(small.V, a.P, small.P, rank);
  for (std::size_t i = 0; i < U.size(); ++i) U[i] *= small.s[i % count(rank, 1)];
  std::vector<double> B(count(N, rank)), A(count(rank, K));
  matmul<double>(kNo, kNo, N, rank, b.P, 1.0, b.U.data(), b.P, U.data(), rank, 0.0, B.data(), rank);
  matmul<double>(kYes, kYes, rank, K, a.P, 1.0, V.data(), rank, a.V.data(), a.P, 0.0, A.data(), K);
  return with_rank({rank, narrowed(A), narrowed(B)}, K, N, R);
}

LoraFactors with_rank(const LoraFactors& factors, std::int64_t K, std::int64_t N, std::int64_t R) {
  require(R >= factors.R, "with_rank", "a rank of at least that of the factors");
  LoraFactors out{R, factors.A, std::vector<float>(count(N, R))};
  out.A.resize(count(R, K));
  for (std::int64_t n = 0; n < N; ++n) {
    std::copy_n(factors.B.begin() + n * factors.R, factors.R, out.B.begin() + n * R);
  }
  return out;
}

}  // namespace qlora
