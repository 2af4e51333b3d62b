// cuDNN's attention on the GPU beside the CPU, element by element.
//
// Its bounds are those of the own kernels on the tensor cores (attention_bounds.h), but that it
// sums the gradients of grouped heads' keys and values from parts that it has rounded to the
// format, so that the format's roundoff counts twice; and that it scales dS before it rounds it, so
// that the smallest numbers of float16 are sqrt D times as large in comparison.
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "cuda/attention_bounds.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/attention_cudnn.h"
#include "ops/ops.h"

#define SKIP_WITHOUT_CUDNN()                                                                    \
  SKIP_WITHOUT_GPU();                                                                           \
  if (!cuda::cudnn_problem().empty()) GTEST_SKIP() << "needs cuDNN: " << cuda::cudnn_problem(); \
  static_assert(true, "")

namespace qlora {
namespace {

using namespace testing;

const std::vector<DType> kTypes{DType::bf16, DType::f16};

// Short rows, rows that no tile divides, heads alone and in groups.
std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> all;
  for (const std::int64_t D : {64, 128}) {
    for (const auto& [B, T, H, K] : std::vector<std::array<std::int64_t, 4>>{
             {1, 2, 1, 1}, {3, 31, 3, 3}, {5, 33, 3, 1}, {2, 257, 6, 2}, {1, 1030, 6, 2}}) {
      all.push_back({B, T, T, H, K, D});
    }
  }
  return all;
}

std::string name(DType dtype, const AttentionShape& s) {
  return std::string(python_name(dtype)) + " B " + std::to_string(s.B) + " T " +
         std::to_string(s.T) + " H " + std::to_string(s.H) + " K " + std::to_string(s.K) + " D " +
         std::to_string(s.D);
}

// The first columns of a device tensor, on the GPU; those behind them must be as poisoned() left
// them.
Tensor first_columns(const Tensor& wide, std::int64_t columns) {
  const Tensor host = ops::on(Device::cpu, wide);
  Tensor rows = Tensor::empty(host.dtype(), {host.dim(0), columns});
  const std::size_t size = size_of(host.dtype()), row = static_cast<std::size_t>(columns) * size,
                    wide_row = static_cast<std::size_t>(host.dim(1)) * size;
  for (std::size_t i = 0; i < static_cast<std::size_t>(host.dim(0)); ++i) {
    const char* from = static_cast<const char*>(host.raw()) + i * wide_row;
    std::memcpy(static_cast<char*>(rows.raw()) + i * row, from, row);
    for (std::size_t byte = row; byte < wide_row; ++byte) {
      if (static_cast<unsigned char>(from[byte]) != 0xff) {
        ADD_FAILURE() << "row " << i << " was written behind its " << columns << " columns";
        break;
      }
    }
  }
  return to_gpu(rows);
}

TEST(CudaAttentionCudnn, ForwardIsItsTwin) {
  SKIP_WITHOUT_CUDNN();
  for (const DType dtype : kTypes) {
    for (const AttentionShape& s : shapes()) {
      const std::int64_t HD = s.H * s.D, KD = s.K * s.D;
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, HD + 2 * KD}, 1);
      const Tensor wide = widened(qkv), with_absolute_v = widened(qkv);
      make_absolute(with_absolute_v, HD + KD);
      const Tensor out = Tensor::empty(DType::f32, {s.B * s.T, HD}), bounds = out.clone();
      const Tensor lse = Tensor::empty(DType::f32, {s.B, s.H, s.T}), ignored = lse.clone();
      ops::attention_forward(s, wide, Tensor(), out, lse);
      ops::attention_forward(s, with_absolute_v, Tensor(), bounds, ignored);
      const double e = error_of_probabilities(s, largest_norm(wide, 0, HD, s.D),
                                              largest_norm(wide, HD, KD, s.D));
      scale_bounds(bounds, operand_roundoff(dtype, AttentionKernel::own, s) + e,
                   6.0 * static_cast<double>(s.T) * smallest(dtype));
      for (const std::int64_t more : {0, 64}) {
        const Tensor there = with_room(qkv, more);
        Tensor first;
        for (int run = 0; run < kRuns; ++run) {
          const Tensor ours = poisoned(dtype, {s.B * s.T, HD + more});
          const Tensor our_lse = poisoned(DType::f32, lse.shape());
          ASSERT_EQ(cuda::cudnn_forward(s, there, ours, our_lse), "") << name(dtype, s);
          EXPECT_TRUE(within(first_columns(ours, HD), out, bounds)) << name(dtype, s);
          EXPECT_TRUE(within(our_lse, lse, filled(lse.shape(), e))) << name(dtype, s);
          if (run > 0) {
            EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s);
          }
          first = ours;
        }
      }
    }
  }
}

TEST(CudaAttentionCudnn, BackwardIsItsTwin) {
  SKIP_WITHOUT_CUDNN();
  const bool any_order = std::getenv("QLORA_CUDNN_ANY_ORDER") != nullptr;
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const DType dtype : kTypes) {
    for (const AttentionShape& s : shapes()) {
      const std::int64_t HD = s.H * s.D, columns = HD + 2 * s.K * s.D;
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, columns}, 1);
      const Tensor dout = random_tensor(dtype, {s.B * s.T, HD}, 2);
      // Both start from one forward's results, as it rounded them.
      const Tensor out = poisoned(dtype, dout.shape());
      const Tensor lse = poisoned(DType::f32, {s.B, s.H, s.T});
      ASSERT_EQ(cuda::cudnn_forward(s, to_gpu(qkv), out, lse), "") << name(dtype, s);
      const Tensor dqkv = Tensor::empty(DType::f32, qkv.shape());
      ops::attention_backward(s, widened(qkv), Tensor(), to_host(out), to_host(lse), widened(dout),
                              host_arena, dqkv);
      const Tensor bounds =
          backward_bounds(s, widened(qkv), Tensor(), to_host(out), to_host(lse), widened(dout),
                          2 * operand_roundoff(dtype, AttentionKernel::own, s),
                          smallest(dtype) * std::sqrt(static_cast<double>(s.D)));
      for (const std::int64_t more : {0, 64}) {
        const Tensor wide_out = with_room(ops::on(Device::cpu, out), more);
        Tensor first;
        for (int run = 0; run < kRuns; ++run) {
          const Tensor ours = poisoned(dtype, {s.B * s.T, columns + more});
          ASSERT_EQ(cuda::cudnn_backward(s, to_gpu(qkv), wide_out, lse, to_gpu(dout), arena, ours),
                    "")
              << name(dtype, s);
          EXPECT_TRUE(within(first_columns(ours, columns), dqkv, bounds)) << name(dtype, s);
          if (run > 0 && !any_order) {
            EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s);
          }
          first = ours;
        }
      }
    }
  }
}

// out and lse of one kernel.
std::array<Tensor, 2> forward(const AttentionShape& s, const Tensor& qkv, const Tensor& mask,
                              AttentionKernel kernel) {
  const std::array results{poisoned(qkv.dtype(), {s.B * s.T, s.H * s.D}),
                           poisoned(DType::f32, {s.B, s.H, s.T})};
  ops::attention_forward(s, qkv, mask, results[0], results[1], kernel);
  return results;
}

// What is fastest is cuDNN's where it serves, and the own kernels' where it does not.
TEST(CudaAttentionCudnn, IsTakenWhereItServes) {
  SKIP_WITHOUT_CUDNN();
  const Tensor mask = Tensor::empty(DType::i32, {2, 70});
  for (std::int32_t& segment : mask.span<std::int32_t>()) segment = 1;
  for (const auto& [dtype, D, masked, served] :
       std::vector<std::tuple<DType, std::int64_t, bool, bool>>{{DType::bf16, 64, false, true},
                                                                {DType::f16, 128, false, true},
                                                                {DType::f16, 128, true, false},
                                                                {DType::bf16, 32, false, false},
                                                                {DType::f32, 64, false, false}}) {
    const AttentionShape s{2, 70, 70, 2, 1, D};
    const Tensor qkv = to_gpu(random_tensor(dtype, {s.B * s.T, (s.H + 2 * s.K) * D}, 1));
    const Tensor there = masked ? to_gpu(mask) : Tensor();
    const auto fastest = forward(s, qkv, there, AttentionKernel::fastest);
    if (!served) {
      EXPECT_THROW(forward(s, qkv, there, AttentionKernel::cudnn), MachineLacks);
    }
    const auto same =
        forward(s, qkv, there, served ? AttentionKernel::cudnn : AttentionKernel::own);
    EXPECT_TRUE(same_on_gpu(fastest[0], same[0])) << name(dtype, s);
    EXPECT_TRUE(same_on_gpu(fastest[1], same[1])) << name(dtype, s);
  }
}

TEST(CudaAttentionCudnn, SaysWhereItIsLacking) {
  SKIP_WITHOUT_GPU();
  if (cuda::cudnn_problem().empty()) GTEST_SKIP() << "there is cuDNN";
  const AttentionShape s{1, 8, 8, 1, 1, 64};
  const Tensor qkv = to_gpu(random_tensor(DType::bf16, {8, 192}, 1));
  try {
    forward(s, qkv, Tensor(), AttentionKernel::cudnn);
    FAIL() << "ran without cuDNN";
  } catch (const MachineLacks& error) {
    EXPECT_NE(std::string(error.what()).find(cuda::cudnn_problem()), std::string::npos);
  }
  EXPECT_NO_THROW(forward(s, qkv, Tensor(), AttentionKernel::fastest));
}

}  // namespace
}  // namespace qlora
#endif
