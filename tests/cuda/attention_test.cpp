// Attention on the GPU beside the CPU, element by element.
#include <array>
#include <cstring>

#include "cuda/attention_bounds.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

enum class Padding { none, end, beginning };
constexpr Padding kPaddings[] = {Padding::none, Padding::end, Padding::beginning};
constexpr AttentionKernel kKernels[] = {AttentionKernel::own, AttentionKernel::small,
                                        AttentionKernel::plain};

// Every tile size divides none of these lengths; grouped heads and single ones.
std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> all;
  for (const std::int64_t D : {32, 64, 128}) {
    for (const auto& [B, T, H, K] : sizes<std::array<std::int64_t, 4>>(
             {{1, 1, 1, 1}, {33, 1, 3, 1}, {3, 31, 3, 3}, {31, 33, 3, 1}, {2, 257, 6, 2}},
             {{1, 33, 1, 1}, {1, 131, 2, 1}})) {
      all.push_back({B, T, T, H, K, D});
    }
  }
  return all;
}

std::string name(DType dtype, const AttentionShape& s, Padding padding, AttentionKernel kernel) {
  return std::string(python_name(dtype)) + " B " + std::to_string(s.B) + " T " +
         std::to_string(s.T) + " H " + std::to_string(s.H) + " K " + std::to_string(s.K) + " D " +
         std::to_string(s.D) + " padding " + std::to_string(static_cast<int>(padding)) +
         " kernel " + std::to_string(static_cast<int>(kernel));
}

// Row b has b mod 4 quarters of its tokens as padding; at the beginning, another token is a hole.
Tensor mask_of(const AttentionShape& s, Padding padding) {
  if (padding == Padding::none) return Tensor();
  const Tensor mask = Tensor::empty(DType::i32, {s.B, s.T});
  for (std::int64_t b = 0; b < s.B; ++b) {
    const std::int64_t count = (b + 1) % 4 * s.T / 4;
    for (std::int64_t t = 0; t < s.T; ++t) {
      const bool hidden = padding == Padding::end ? t >= s.T - count : t < count || t == count + 2;
      mask.data<std::int32_t>()[b * s.T + t] = hidden ? 0 : 1;
    }
  }
  return mask;
}

TEST(CudaAttention, ForwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const AttentionShape& s : shapes()) {
      const std::int64_t HD = s.H * s.D, KD = s.K * s.D;
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, HD + 2 * KD}, 1);
      const Tensor wide = widened(qkv), with_absolute_v = widened(qkv);
      make_absolute(with_absolute_v, HD + KD);
      const double e = error_of_probabilities(s, largest_norm(wide, 0, HD, s.D),
                                              largest_norm(wide, HD, KD, s.D));
      for (const Padding padding : kPaddings) {
        const Tensor mask = mask_of(s, padding);
        const Tensor out = Tensor::empty(DType::f32, {s.B * s.T, HD}), sums = out.clone();
        const Tensor lse = Tensor::empty(DType::f32, {s.B, s.H, s.T}), ignored = lse.clone();
        ops::attention_forward(s, wide, mask, out, lse);
        ops::attention_forward(s, with_absolute_v, mask, sums, ignored);
        for (const AttentionKernel kernel : kKernels) {
          const Tensor bounds = sums.clone();
          scale_bounds(bounds, operand_roundoff(dtype, kernel, s) + e,
                       6.0 * static_cast<double>(s.T) * smallest(dtype));
          const Tensor gpu_mask = mask ? to_gpu(mask) : Tensor();
          Tensor first;
          for (int run = 0; run < kRuns; ++run) {
            const Tensor ours = poisoned(dtype, out.shape());
            const Tensor our_lse = poisoned(DType::f32, lse.shape());
            ops::attention_forward(s, to_gpu(qkv), gpu_mask, ours, our_lse, kernel);
            EXPECT_TRUE(within(ours, out, bounds)) << name(dtype, s, padding, kernel);
            EXPECT_TRUE(within(our_lse, lse, filled(lse.shape(), e)))
                << name(dtype, s, padding, kernel);
            if (run > 0) {
              EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s, padding, kernel);
            }
            first = ours;
          }
        }
      }
    }
  }
}

TEST(CudaAttention, BackwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const DType dtype : kDeviceTypes) {
    for (const AttentionShape& s : shapes()) {
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, (s.H + 2 * s.K) * s.D}, 1);
      const Tensor dout = random_tensor(dtype, {s.B * s.T, s.H * s.D}, 2);
      for (const Padding padding : kPaddings) {
        const Tensor mask = mask_of(s, padding), gpu_mask = mask ? to_gpu(mask) : Tensor();
        // Both start from one forward's results, as it rounded them.
        const Tensor out = poisoned(dtype, dout.shape());
        const Tensor lse = poisoned(DType::f32, {s.B, s.H, s.T});
        ops::attention_forward(s, to_gpu(qkv), gpu_mask, out, lse, AttentionKernel::own);
        const Tensor dqkv = Tensor::empty(DType::f32, qkv.shape());
        ops::attention_backward(s, widened(qkv), mask, to_host(out), to_host(lse), widened(dout),
                                host_arena, dqkv);
        for (const AttentionKernel kernel : kKernels) {
          const Tensor bounds =
              backward_bounds(s, widened(qkv), mask, to_host(out), to_host(lse), widened(dout),
                              operand_roundoff(dtype, kernel, s), smallest(dtype));
          Tensor first;
          for (int run = 0; run < kRuns; ++run) {
            const Tensor ours = poisoned(dtype, qkv.shape());
            ops::attention_backward(s, to_gpu(qkv), gpu_mask, out, lse, to_gpu(dout), arena, ours,
                                    kernel);
            EXPECT_TRUE(within(ours, dqkv, bounds)) << name(dtype, s, padding, kernel);
            if (run > 0) {
              EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s, padding, kernel);
            }
            first = ours;
          }
        }
      }
    }
  }
}

// Head sizes that the tensor cores' kernels do not have, odd ones too.
TEST(CudaAttention, AnyHeadSize) {
  SKIP_WITHOUT_GPU();
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const DType dtype : kDeviceTypes) {
    for (const std::int64_t D : sizes<std::int64_t>({1, 4, 80, 255, 256}, {80, 255})) {
      const AttentionShape s{2, 37, 37, 3, 1, D};
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, (s.H + 2 * s.K) * D}, 1);
      const Tensor dout = random_tensor(dtype, {s.B * s.T, s.H * D}, 2);
      const Tensor out = poisoned(dtype, dout.shape());
      const Tensor lse = poisoned(DType::f32, {s.B, s.H, s.T});
      const Tensor ours = poisoned(dtype, qkv.shape());
      ops::attention_forward(s, to_gpu(qkv), Tensor(), out, lse);
      ops::attention_backward(s, to_gpu(qkv), Tensor(), out, lse, to_gpu(dout), arena, ours);
      const Tensor their_out = Tensor::empty(DType::f32, dout.shape());
      const Tensor their_lse = Tensor::empty(DType::f32, lse.shape());
      const Tensor dqkv = Tensor::empty(DType::f32, qkv.shape());
      ops::attention_forward(s, widened(qkv), Tensor(), their_out, their_lse);
      ops::attention_backward(s, widened(qkv), Tensor(), to_host(out), to_host(lse), widened(dout),
                              host_arena, dqkv);
      EXPECT_TRUE(within(ours, dqkv,
                         backward_bounds(s, widened(qkv), Tensor(), to_host(out), to_host(lse),
                                         widened(dout), 0x1p-24, 0.0)))
          << python_name(dtype) << " D " << D;
      // a mean of values, which are below 6
      const double e = error_of_probabilities(s, largest_norm(widened(qkv), 0, s.H * D, D),
                                              largest_norm(widened(qkv), s.H * D, D, D));
      EXPECT_TRUE(within(out, their_out, filled(their_out.shape(), 6 * e)))
          << python_name(dtype) << " D " << D;
    }
  }
}

// (B·T) I32: the queries are the last tokens of each row.
Tensor last_positions(const AttentionShape& s) {
  const Tensor positions = Tensor::empty(DType::i32, {s.B * s.T});
  for (std::int64_t i = 0; i < s.B * s.T; ++i) {
    positions.data<std::int32_t>()[i] = static_cast<std::int32_t>(s.S - s.T + i % s.T);
  }
  return positions;
}

// A cache that is mostly empty: most of the splits have no keys.
TEST(CudaAttention, CachedWithRoomForManyMoreKeys) {
  SKIP_WITHOUT_GPU();
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const std::int64_t D : {std::int64_t{64}, std::int64_t{80}}) {
    for (const std::int64_t S : {1, 2, 7, 100}) {
      const AttentionShape s{1, 1, 4000, 6, 2, D};
      const AttentionShape used{1, 1, S, 6, 2, D};
      const Tensor qkv = random_tensor(DType::f32, {1, 10 * D}, 1);
      const Tensor keys = random_tensor(DType::f32, {1, s.S, 2 * D}, 2);
      const Tensor values = random_tensor(DType::f32, {1, s.S, 2 * D}, 3);
      const Tensor out = Tensor::empty(DType::f32, {1, 6 * D}), same = out.clone();
      const Tensor positions = last_positions(used);
      ops::attention_cached(used, qkv, keys, values, Tensor(), host_arena, out);
      ops::attention_cached(s, qkv, keys, values, positions, host_arena, same);
      EXPECT_EQ(std::memcmp(out.raw(), same.raw(), out.nbytes()), 0);
      const Tensor ours = poisoned(DType::f32, out.shape());
      ops::attention_cached(s, to_gpu(qkv), to_gpu(keys), to_gpu(values), to_gpu(positions), arena,
                            ours);
      // a mean of values, which are below 6
      const double e =
          error_of_probabilities(used, largest_norm(qkv, 0, 6 * D, D),
                                 largest_norm(keys.reshape({s.S, 2 * D}), 0, 2 * D, D));
      EXPECT_TRUE(within(ours, out, filled(out.shape(), 6 * (e + 0x1p-22)))) << D << " " << S;
    }
  }
}

TEST(CudaAttention, AppendedRowsAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto& [B, T, S, H, K, D] : std::vector<AttentionShape>{
             {1, 1, 5, 3, 1, 32}, {2, 3, 9, 4, 2, 20}, {1, 2, 2, 3, 1, 7}}) {
      const AttentionShape s{B, T, S, H, K, D};
      const Tensor qkv = random_tensor(dtype, {B * T, (H + 2 * K) * D}, 1);
      const Tensor keys = random_tensor(dtype, {B, S, K * D}, 2);
      const Tensor values = random_tensor(dtype, {B, S, K * D}, 3);
      const Tensor our_keys = ops::on(Device::cuda, keys), our_values = to_gpu(values);
      const Tensor positions = last_positions({B, T, S - (T == 1 ? 2 : 0), H, K, D});
      ops::append_to_cache(s, to_gpu(qkv), to_gpu(positions), our_keys, our_values);
      const Tensor host_keys = widened(keys), host_values = widened(values);
      ops::append_to_cache(s, widened(qkv), positions, host_keys, host_values);
      EXPECT_TRUE(near_twin(our_keys, host_keys, 0, 0)) << python_name(dtype) << " D " << D;
      EXPECT_TRUE(near_twin(our_values, host_values, 0, 0)) << python_name(dtype) << " D " << D;
    }
  }
}

// Generation: few queries over many keys, and a prompt at once. The cache has room to spare, which
// is poisoned.
TEST(CudaAttention, CachedIsItsTwin) {
  SKIP_WITHOUT_GPU();
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const DType dtype : kDeviceTypes) {
    for (const auto& [B, T, S, H, K, D] : sizes<AttentionShape>({{1, 1, 1, 1, 1, 32},
                                                                 {1, 1, 2049, 6, 2, 128},
                                                                 {3, 1, 257, 8, 1, 64},
                                                                 {2, 3, 65, 4, 4, 128},
                                                                 {1, 5, 130, 3, 1, 32},
                                                                 {1, 33, 98, 6, 2, 64},
                                                                 {2, 2, 33, 3, 1, 80},
                                                                 {1, 1, 257, 8, 1, 256}},
                                                                {{1, 1, 257, 2, 1, 128},
                                                                 {1, 5, 130, 3, 1, 32},
                                                                 {1, 33, 98, 2, 1, 64},
                                                                 {1, 2, 33, 3, 1, 80}})) {
      const AttentionShape s{B, T, S, H, K, D};
      const std::int64_t HD = H * D, KD = K * D, capacity = S + 3;
      const Tensor qkv = random_tensor(dtype, {B * T, HD + 2 * KD}, 1);
      const Tensor keys = random_tensor(dtype, {B, capacity, KD}, 2);
      const Tensor values = random_tensor(dtype, {B, capacity, KD}, 3);
      for (const Tensor& cache : {keys, values}) {
        for (std::int64_t b = 0; b < B; ++b) {
          const auto row = static_cast<std::size_t>(KD) * size_of(dtype);
          std::memset(static_cast<char*>(cache.raw()) +
                          static_cast<std::size_t>((b + 1) * capacity - 3) * row,
                      0xff, 3 * row);
        }
      }
      const Tensor out = Tensor::empty(DType::f32, {B * T, HD}), sums = out.clone();
      ops::attention_cached(s, widened(qkv), widened(keys), widened(values), Tensor(), host_arena,
                            out);
      const Tensor absolute = widened(values);
      make_absolute(absolute, 0);
      ops::attention_cached(s, widened(qkv), widened(keys), absolute, Tensor(), host_arena, sums);
      const double e =
          error_of_probabilities(s, largest_norm(widened(qkv), 0, HD, D),
                                 largest_norm(widened(keys).reshape({B * capacity, KD}), 0, KD, D));
      for (const AttentionKernel kernel : {AttentionKernel::fastest, AttentionKernel::plain}) {
        const Tensor bounds = sums.clone();
        scale_bounds(bounds, operand_roundoff(dtype, kernel, s) + e,
                     6.0 * static_cast<double>(S) * smallest(dtype));
        // The number of keys from the host; or from the device, with the capacity as its bound.
        for (const Tensor& positions : {Tensor(), last_positions(s)}) {
          AttentionShape bound = s;
          if (positions) bound.S = capacity;
          Tensor first;
          for (int run = 0; run < kRuns; ++run) {
            const Tensor ours = poisoned(dtype, out.shape());
            ops::attention_cached(bound, to_gpu(qkv), to_gpu(keys), to_gpu(values),
                                  to_gpu(positions), arena, ours, kernel);
            EXPECT_TRUE(within(ours, out, bounds)) << name(dtype, s, Padding::none, kernel);
            if (run > 0) {
              EXPECT_TRUE(same_on_gpu(first, ours));
            }
            first = ours;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
