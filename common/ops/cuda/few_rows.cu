// Linear layers on few rows, straight from 4-bit codes: bound by reading them. A block owns a range
// of the output's columns; its warps split K, each with its elements of x in registers. The low
// ranks of the adapters, u = x Aᵀ, are made by the first blocks while the codes are on their way.
#include <algorithm>

#include "ops/cuda/few_rows.h"
#include "ops/cuda/few_rows_codes.cuh"
#include "ops/cuda/few_rows_low_ranks.cuh"
#include "ops/cuda/overlap.cuh"
#include "quantization/fp4.h"
#include "quantization/nf4.h"

namespace qlora::cuda {
namespace {

using namespace few_rows;

// y[m, n] = residual[m, n] + Σ_k x[m, k] code[c(n, k)] absmax(n, k) + Σ_a s_a Σ_r u[m, r] B_a[n, r]
//
// A byte of codes is two elements: the table has both values of each of the 256 bytes, 16 times
// over, so that lanes side by side read their own banks of shared memory.
template <int M, typename T>
__global__ void __launch_bounds__(kThreads, 1)
    forward(const __grid_constant__ Work work, const __grid_constant__ Rows<T> in) {
  constexpr int kEach = kHeld / M;    // elements of K that a lane has
  constexpr int kWords = kEach / 8;   // of codes
  constexpr int kValues = kTile * M;  // that a warp makes of a tile
  __shared__ alignas(16) float2 table[256][kCopies];
  __shared__ float maps[kMostParts][256], sums[kSums], low[M * kMostRanks];

  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const Split split = split_of<M>(work.K);
  const int slot = warp % split.slots, group = warp / split.slots;
  const int begin = blockIdx.x * work.tiles_a_block;
  const int end = min(begin + work.tiles_a_block, work.tiles);
  const int rows = work.tiles_a_block * kTile;  // of the weight, in sums

  const int first = begin + group;
  const bool works = group < split.groups && first < end;
  const auto start_of = [&](int span) { return (span * kWarp + lane) * kEach; };
  Codes<kWords> codes[kTile];
  const auto fetch_row = [&](int tile, int i, int k) {
    const Part& part = work.parts[part_of(work, tile)];
    // A lane beyond K reads what the first one reads, and multiplies it by zeros.
    fetch(part, work.K, (tile - part.first_tile) * kTile + i, k < work.K ? k : 0, codes[i]);
  };
  const auto fetch_tile = [&](int k) {
#pragma unroll
    for (int i = 0; i < kTile; ++i) fetch_row(first, i, k);
  };
  if (works) fetch_tile(start_of(slot));
  for (int i = threadIdx.x; i < 256 * kCopies; i += kThreads) {
    const int byte = i / kCopies;
    table[byte][i % kCopies] = {work.code[byte >> 4], work.code[byte & 15]};
  }
  for (int p = 0; p < work.part_count; ++p) {
    if (threadIdx.x < 256 && work.parts[p].map != nullptr) {
      maps[p][threadIdx.x] = work.parts[p].map[threadIdx.x];
    }
  }
  prefetch_adapters(work, begin, end);
  wait_for_previous();  // x, the residual and u are read and written from here on
  make_low_ranks<M>(work, in);
  __syncthreads();

  const unsigned own = shared_address(table[0] + lane % kCopies);
  for (int span = slot; works && span < split.spans; span += split.slots) {
    const int k = start_of(span);
    float x[M][kEach] = {};
#pragma unroll
    for (int m = 0; m < M; ++m) {
      if (k < work.K) load<kEach>(in.x + min(m, in.rows - 1) * in.ldx + k, x[m]);
    }
    if (span != slot) fetch_tile(k);
    // Multiplies a tile, and fetches the next one row by row into the registers that become free.
    const auto step = [&]<bool MORE>(int tile, std::bool_constant<MORE>) {
      const int p = part_of(work, tile);
      const bool nested = work.parts[p].codes != nullptr;
      float values[kValues];
#pragma unroll
      for (int i = 0; i < kTile; ++i) {
        float sum[M], absmax = codes[i].scale;
        multiply(codes[i], own, x, sum);
        if (nested) {
          absmax = __fadd_rn(__fmul_rn(maps[p][codes[i].code], absmax), work.parts[p].offset);
        }
        if constexpr (MORE) fetch_row(tile + split.groups, i, k);
#pragma unroll
        for (int m = 0; m < M; ++m) values[i * M + m] = sum[m] * absmax;
      }
      const float value = warp_sums(values);
      float* to = sums + (slot * rows + (tile - begin) * kTile) * M + lane / (kWarp / kValues);
      if (lane % (kWarp / kValues) == 0) *to = span == slot ? value : *to + value;
    };
    int tile = first;
    for (; tile + split.groups < end; tile += split.groups) step(tile, std::true_type());
    step(tile, std::false_type());
  }

  __syncthreads();
  if (work.ranks > 0) take_low_ranks<M>(work, low);
  const int l = threadIdx.x % kLanes;
  // The rows of a warp are those of a tile.
  for (int r = threadIdx.x / kLanes; r < (end - begin) * kTile; r += kThreads / kLanes) {
    const int p = part_of(work, begin + r / kTile);
    const Part& part = work.parts[p];
    const int row = (begin + r / kTile - part.first_tile) * kTile + r % kTile;
    const bool writes = row < part.rows && l < in.rows;
    const std::int64_t column = part.column + row;
    float before = 0.0f, value[M] = {};
    if (writes && in.residual != nullptr) {
      before = to_float(in.residual[l * in.ld_residual + column]);
    }
    for (int s = l; s < split.slots; s += kLanes) {
#pragma unroll
      for (int m = 0; m < M; ++m) value[m] += sums[(s * rows + r) * M + m];
    }
    for (int a = 0; a < work.adapter_count; ++a) {
      const LowRank& adapter = work.adapters[a];
      if (adapter.part != p) continue;
      const float* B = adapter.B + std::int64_t{min(row, part.rows - 1)} * adapter.R;
      for (int j = l; j < adapter.R; j += kLanes) {
        const float b = adapter.scaling * B[j];
#pragma unroll
        for (int m = 0; m < M; ++m) value[m] += b * low[m * work.ranks + adapter.at + j];
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
#pragma unroll
      for (int offset = kLanes / 2; offset > 0; offset /= 2) {
        value[m] += __shfl_xor_sync(~0u, value[m], offset);
      }
      if (writes && l == m) in.y[m * in.ldy + column] = from_float<T>(before + value[m]);
    }
  }
}
static_assert(kWarp / kLanes == kTile && kLanes >= kPassRows &&
              kSums >= kWarps * kTile * kPassRows);

Work work_of(const LinearGroup& group) {
  Work work;
  const QuantType type = group.parts[0].quantized->type;
  std::ranges::copy(type == QuantType::nf4 ? kNf4Code : kFp4Code, work.code);
  work.K = static_cast<int>(group.K);
  int column = 0;
  for (const Projection& projection : group.parts) {
    const QuantizedTensor& q = *projection.quantized;
    const int index = work.part_count++;
    Part& part = work.parts[index];
    part.packed = q.packed.data<std::uint8_t>();
    part.log2_blocksize = std::countr_zero(static_cast<unsigned>(q.blocksize));
    part.rows = static_cast<int>(projection.N);
    part.column = column;
    part.first_tile = work.tiles;
    part.scales = (q.nested() ? q.nested_absmax : q.absmax).data<float>();
    part.log2_scale = part.log2_blocksize;
    if (q.nested()) {
      part.log2_scale += std::countr_zero(static_cast<unsigned>(q.nested_blocksize));
      part.codes = q.absmax.data<std::uint8_t>();
      part.map = q.nested_code.data<float>();
      part.offset = q.offset;
    }
    for (const Adapter& a : projection.adapters) {
      const int R = static_cast<int>(a.A.dim(0));
      work.adapters[work.adapter_count++] = {
          a.A.data<float>(), a.B.data<float>(), static_cast<float>(a.scaling), R, index,
          work.ranks};
      work.ranks += R;
    }
    column += part.rows;
    work.tiles += (part.rows + kTile - 1) / kTile;
  }
  return work;
}

}  // namespace

bool few_rows_serves(const LinearGroup& group, const Tensor& x) {
  const std::int64_t rows = x.dim(0),
                     row_bytes = x.dim(1) * static_cast<std::int64_t>(size_of(x.dtype()));
  if (rows < 1 || rows > kFewRows || group.K % 32 != 0 || row_bytes % 16 != 0 || !aligned(x)) {
    return false;
  }
  std::int64_t adapters = 0, ranks = 0;
  for (const Projection& part : group.parts) {
    if (!part.quantized || part.quantized->type != group.parts[0].quantized->type) return false;
    if (!aligned(part.quantized->packed)) return false;
    if (!std::has_single_bit(static_cast<std::uint64_t>(part.quantized->nested_blocksize))) {
      return false;
    }
    if (part.N * group.K >= std::int64_t{1} << 31) return false;
    for (const Adapter& a : part.adapters) {
      if (a.A.dtype() != DType::f32 || a.B.dtype() != DType::f32 || !aligned(a.A)) return false;
      if (a.magnitude) return false;  // it scales the base
      ++adapters;
      ranks += a.A.dim(0);
    }
  }
  return group.K > 0 && group.N() > 0 && group.parts.size() <= kMostParts &&
         adapters <= kMostAdapters && ranks <= kMostRanks;
}

void few_rows_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                      Arena& arena, const Tensor& y) {
  constexpr const char* op = "few_rows_forward";
  require(few_rows_serves(group, x), op, "a group and an input that few_rows_serves() takes");
  const ArenaScope scope(arena);
  Work work = work_of(group);
  if (work.ranks > 0) {
    work.u = elements<float>(arena.take(DType::f32, {kPassRows, work.ranks}));
  }
  const int blocks = device().multiprocessors;  // one of them at a time fills each
  on_element(x, op, [&]<typename T>(T) {
    in_passes(x.dim(0), kPassRows,
              [&]<int M>(std::int64_t first, int rows, std::integral_constant<int, M>) {
                Rows<T> in{elements<const T>(x),
                           elements<const T>(residual),
                           elements<T>(y),
                           x.dim(1),
                           residual ? residual.dim(1) : 0,
                           y.dim(1),
                           rows};
                in.x += first * in.ldx;
                in.y += first * in.ldy;
                if (in.residual != nullptr) in.residual += first * in.ld_residual;
                const int most = kSums / (split_of<M>(work.K).slots * M * kTile);
                work.tiles_a_block = std::min((work.tiles + blocks - 1) / blocks, most);
                const unsigned grid = blocks_for(work.tiles, work.tiles_a_block);
                work.low_blocks = std::min(blocks, static_cast<int>(grid));
                launch_early(op, forward<M, T>, grid, kThreads, work, in);
              });
  });
}

}  // namespace qlora::cuda
