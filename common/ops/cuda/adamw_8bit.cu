// AdamW with moments in 8 bits over many tensors in few launches. A warp works on the 256 elements
// that share a maximum, so that no barrier is needed to find it.
#include "ops/cuda/adamw.cuh"
#include "ops/cuda/quantization.cuh"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;  // each brings one value of both maps into shared memory
constexpr int kEach = kMomentBlock / kWarp;  // elements of a thread
constexpr int kPerBlock = kThreads * kEach;

// The elements of a thread: as many as kEach from `begin` on, but none from `end` on.
struct Elements {
  std::int64_t begin, end;
  bool wide;

  __device__ bool has(int j) const { return begin + j < end; }
};

// A moment of a tensor, and its map in shared memory.
struct Moment {
  std::uint8_t* codes;
  float* absmax;  // of the warp's block
  const float* map;
};

__device__ void read_moment(const Moment& moment, const Elements& at, float (&values)[kEach]) {
  Vector<std::uint8_t, kEach> codes{};
  if (at.wide && at.has(kEach - 1)) {
    const uint2 bits = *reinterpret_cast<const uint2*>(moment.codes + at.begin);
    memcpy(&codes, &bits, sizeof codes);
  } else {
    for (int j = 0; j < kEach; ++j) codes.value[j] = at.has(j) ? moment.codes[at.begin + j] : 0;
  }
  const float absmax = *moment.absmax;
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    values[j] = flushed_product(moment.map[codes.value[j]], absmax);
  }
}

// Every lane has read what lane 0 writes: the maximum is made of it.
template <bool KEEP_SIGN>
__device__ void write_moment(const Moment& moment, const Elements& at,
                             const float (&values)[kEach]) {
  float largest = 0.0f;
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    if (at.has(j)) largest = fmaxf(largest, fabsf(values[j]));
  }
  largest = flush(warp_max(largest));
  if (threadIdx.x % kWarp == 0) *moment.absmax = largest;
  const float reciprocal = block_reciprocal(largest);
  Vector<std::uint8_t, kEach> codes;
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    int code = nearest_of_map(moment.map, __fmul_rn(flush(values[j]), reciprocal));
    if (KEEP_SIGN && signbit(moment.map[code]) != signbit(values[j])) {
      code += values[j] > 0.0f ? 1 : -1;
    }
    codes.value[j] = static_cast<std::uint8_t>(code);
  }
  store_part(moment.codes, at.begin, at.end, at.wide, codes);
}

// The formulas of ops::adamw_8bit_all; f has no decay. norm is nullptr where gradients are taken as
// they are.
__global__ void __launch_bounds__(kThreads)
    update(const __grid_constant__ TensorTable<6, kPerBlock> table, AdamWFactors<float> f,
           float decay, const float* m_map, const float* v_map, const double* norm, double max_norm,
           double loss_scale) {
  __shared__ float m_values[kThreads], v_values[kThreads];
  m_values[threadIdx.x] = m_map[threadIdx.x];
  v_values[threadIdx.x] = v_map[threadIdx.x];
  const float clip = clip_of_block(norm, max_norm, loss_scale);  // its barrier is the maps' too
  if (clip == 0.0f) return;
  const TablePart part = table.part_of(static_cast<int>(blockIdx.x));
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t first = part.begin + warp * kMomentBlock;
  if (first >= part.end) return;
  const Elements at{first + lane * kEach, part.end, table.wide};
  const std::int64_t block = first / kMomentBlock;
  const Moment m_moment{table.array<std::uint8_t>(part, 2), table.array<float>(part, 3) + block,
                        m_values};
  const Moment v_moment{table.array<std::uint8_t>(part, 4), table.array<float>(part, 5) + block,
                        v_values};
  float* const parameters = table.array<float>(part, 1);
  float g[kEach], p[kEach], m[kEach], v[kEach];
  load_within<kEach>(table.array<float>(part, 0), at.begin, at.end, at.wide, g);
  load_within<kEach>(parameters, at.begin, at.end, at.wide, p);
  read_moment(m_moment, at, m);
  read_moment(v_moment, at, v);
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    const bool finite = isfinite(g[j]);
    if (!finite) m[j] = v[j] = 0.0f;
    update_element(f, __fmul_rn(finite ? g[j] : 0.0f, clip), p[j], m[j], v[j]);
    p[j] = __fmul_rn(p[j], decay);
  }
  store_within<kEach>(p, at.begin, at.end, at.wide, parameters);
  write_moment<true>(m_moment, at, m);
  write_moment<false>(v_moment, at, v);
}

}  // namespace

void adamw_8bit_all(const AdamWStep& step, std::span<const AdamW8bitTensors> all) {
  const Timed timed(ops::Part::optimizer);
  const double* norm = step.clip.norm ? elements<double>(step.clip.norm) : nullptr;
  in_tables<6, kPerBlock>(
      all.size(),
      [&](std::size_t i) {
        const auto& [gradient, parameter, m, v] = all[i];
        return std::array{&gradient, &parameter, &m.codes, &m.absmax, &v.codes, &v.absmax};
      },
      [&](const TensorTable<6, kPerBlock>& table) {
        update<<<static_cast<unsigned>(table.blocks()), kThreads, 0, stream()>>>(
            table, AdamWFactors<float>(step_of_8bit(step)), AdamWFactors<float>(step).decay,
            elements<float>(all[0].m.map), elements<float>(all[0].v.map), norm, step.clip.max_norm,
            step.clip.scale);
      });
  check_launch("adamw_8bit");
}

}  // namespace qlora::cuda
