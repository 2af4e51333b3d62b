// Products on the GPU beside the CPU's.
#include "core/matmul.h"
#include "cuda/twin.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/product.h"

namespace qlora {
namespace {

using namespace testing;
using cuda::Matrix;

struct Sizes {
  std::int64_t M, N, K;
};

const std::vector<Sizes> kSizes{
    {1, 1, 1}, {3, 5, 7}, {33, 31, 65}, {129, 64, 192}, {256, 384, 512}};

// Σ|a||b| bounds every order of summation: each of the K products and sums is rounded to 24 bits,
// then the result to its format.
TEST(CudaProduct, EveryTranspositionStrideAndFormat) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [M, N, K] : kSizes) {
      for (const int form : {0, 1, 2, 3}) {
        const bool ta = (form & 1) != 0, tb = (form & 2) != 0;
        const std::int64_t pad = 8;  // columns beside the matrix, which must stay as they are
        const Tensor a = random_tensor(dtype, {ta ? K : M, (ta ? M : K) + pad}, 1);
        const Tensor b = random_tensor(dtype, {tb ? N : K, (tb ? K : N) + pad}, 2);
        const Tensor c = random_tensor(dtype, {M, N}, 3);
        const Tensor theirs = widened(c);
        matmul<float>(ta ? Transpose::yes : Transpose::no, tb ? Transpose::yes : Transpose::no, M,
                      N, K, 0.5f, widened(a).data<float>(), a.dim(1), widened(b).data<float>(),
                      b.dim(1), 2.0f, theirs.data<float>(), N);
        const Tensor ga = to_gpu(a), gb = to_gpu(b), gc = to_gpu(c);
        Tensor first;
        for (int run = 0; run < kRuns; ++run) {
          const Tensor ours = poisoned(dtype, {M, N});
          cuda::product(ta ? Transpose::yes : Transpose::no, Matrix(ga).columns_from(0, ta ? M : K),
                        tb ? Transpose::yes : Transpose::no, Matrix(gb).columns_from(0, tb ? K : N),
                        0.5f, 2.0f, Matrix(gc), Matrix(ours));
          // normal numbers reach 6: each term of the sum is below 36, half of the time less than 1
          const double absolute =
              static_cast<double>(K + 3) * 0x1p-24 * static_cast<double>(K + 36);
          EXPECT_TRUE(near_twin(ours, theirs, unit_roundoff(dtype), absolute))
              << python_name(dtype) << " " << M << " " << N << " " << K << " form " << form;
          if (run > 0) {
            EXPECT_TRUE(same_on_gpu(first, ours));
          }
          first = ours;
        }
      }
    }
  }
}

TEST(CudaProduct, SixteenBitsIntoFloat32) {
  SKIP_WITHOUT_GPU();
  const Tensor a = random_tensor(DType::bf16, {65, 40}, 1),
               b = random_tensor(DType::bf16, {65, 24}, 2);
  const Tensor theirs = Tensor::zeros(DType::f32, {40, 24});
  matmul<float>(Transpose::yes, Transpose::no, 40, 24, 65, 1.0f, widened(a).data<float>(), 40,
                widened(b).data<float>(), 24, 0.0f, theirs.data<float>(), 24);
  const Tensor ours = poisoned(DType::f32, {40, 24});
  cuda::product(Transpose::yes, Matrix(to_gpu(a)), Transpose::no, Matrix(to_gpu(b)), 1.0f, 0.0f,
                Matrix(ours), Matrix(ours));
  EXPECT_TRUE(near_twin(ours, theirs, 0x1p-24, 68 * 0x1p-24 * 101.0));
}

}  // namespace
}  // namespace qlora
#endif
