// Tiles of rows in shared memory and the two products that attention makes of them on the tensor
// cores. A block has kTileThreads threads; a warp owns 16 M rows of the result.
#pragma once

#include "ops/cuda/attention.cuh"
#include "ops/cuda/mma.cuh"

namespace qlora::cuda {

inline constexpr int kTileWarps = 4;
inline constexpr int kTileThreads = kTileWarps * kWarp;
inline constexpr float kLog2E = 1.4426950408889634f;

/// This warp's number, taken from lane 0, so that the compiler knows all lanes to have the same.
__device__ inline int warp_number() {
  return __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kWarp, 0);
}

/// Where a tile of rows of D elements keeps the eight elements `piece` of a row, counted in
/// elements. The pieces of a row change places by its number, so that eight rows of one piece lie
/// in different banks; 16 rows further they change places alike.
template <int D>
__device__ int tile_offset(int row, int piece) {
  constexpr int kPieces = D / 8 < 8 ? D / 8 : 8;  // of the 128 bytes that the banks hold
  constexpr int kRows = 8 / kPieces;              // rows in them
  return row * D + ((piece ^ (row / kRows % kPieces)) * 8);
}

/// Starts the copy of ROWS rows, `ld` elements apart, into a tile; those from `there` on are zeros.
template <int ROWS, int D, typename Element>
__device__ void copy_tile(Element* tile, const Element* rows, std::int64_t ld, int there) {
  constexpr int kPieces = D / 8,
                kStep = kTileThreads / kPieces;  // rows that the block copies at once
  static_assert(ROWS % kStep == 0);
  int row = threadIdx.x / kPieces;
  const int piece = threadIdx.x % kPieces;
  const Element* from = rows + row * ld + 8 * piece;
#pragma unroll
  for (int i = 0; i < ROWS / kStep; ++i, row += kStep, from += kStep * ld) {
    copy_async<16>(tile + tile_offset<D>(row, piece), from, row < there);
  }
}

/// Where a lane finds its row of the 16×16 part of a tile at row 16 m, column 16 k: the four 8×8
/// matrices of the part are numbered down its columns, or along its rows. Going on by 16 columns
/// changes two pieces' number, which is an exclusive or: one instruction, and no register to keep.
template <int D>
__device__ int down_columns(int m, int k) {
  const int lane = threadIdx.x % kWarp;
  return 16 * m * D + (tile_offset<D>(lane % 16, lane / 16) ^ (16 * k));
}
template <int D>
__device__ int along_rows(int m, int k) {
  const int lane = threadIdx.x % kWarp;
  return 16 * m * D + (tile_offset<D>(lane / 16 * 8 + lane % 8, lane / 8 % 2) ^ (16 * k));
}

/// That part of a tile as the left side of a product.
template <int D, typename Element>
__device__ Fragment left_of(const Element* tile, int m, int k) {
  return load_matrices(tile + down_columns<D>(m, k));
}

/// c (16 M, N) += A · Bᵀ. left(m, k) is a Fragment of A (16 M, D); B is the N rows of a tile.
template <int D, int N, int M, typename Element, typename Left>
__device__ void multiply_rows(float (&c)[M][N / 8][4], const Left& left, const Element* b) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    Fragment a[M];
#pragma unroll
    for (int m = 0; m < M; ++m) a[m] = left(m, k);
#pragma unroll
    for (int n = 0; n < N / 16; ++n) {
      const Fragment f = load_matrices(b + along_rows<D>(n, k));
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add<Element>(c[m][2 * n], a[m], f.part[0], f.part[1]);
        multiply_add<Element>(c[m][2 * n + 1], a[m], f.part[2], f.part[3]);
      }
    }
  }
}

/// c (16 M, D) += P · B: P (16 M, N) is the result of a product above, rounded to the element type,
/// B the N rows of a tile.
template <int D, int N, int M, typename Element>
__device__ void multiply_tile(float (&c)[M][D / 8][4], const float (&p)[M][N / 8][4],
                              const Element* b) {
#pragma unroll
  for (int k = 0; k < N / 16; ++k) {
    Fragment a[M];
#pragma unroll
    for (int m = 0; m < M; ++m) {
      const auto &first = p[m][2 * k], &second = p[m][2 * k + 1];  // columns 16 k, 16 k + 8
      a[m] = {pack<Element>(first[0], first[1]), pack<Element>(first[2], first[3]),
              pack<Element>(second[0], second[1]), pack<Element>(second[2], second[3])};
    }
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      const Fragment f = load_transposed(b + down_columns<D>(k, n));
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add<Element>(c[m][2 * n], a[m], f.part[0], f.part[1]);
        multiply_add<Element>(c[m][2 * n + 1], a[m], f.part[2], f.part[3]);
      }
    }
  }
}

/// What the rows of a product are; its columns are the other.
enum class Rows { queries, keys };

/// Puts `value` in s wherever the query does not see the key.
template <Rows ROWS, int N, int M, typename Element>
__device__ void hide(const AttentionInputs<Element>& in, int b, int first_row, int first_column,
                     float value, float (&s)[M][N / 8][4]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int n = 0; n < N / 8; ++n) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int column = first_column + 8 * n + 2 * (lane % 4) + j;
      const int column_segment = segment_of(in, b, column);
#pragma unroll
      for (int i = 0; i < 2 * M; ++i) {
        const int row = first_row + 8 * i + lane / 4, row_segment = segment_of(in, b, row);
        const bool sees = ROWS == Rows::queries ? visible(row, column, row_segment, column_segment)
                                                : visible(column, row, column_segment, row_segment);
        if (!sees) s[i / 2][n][2 * (i % 2) + j] = value;
      }
    }
  }
}

/// Writes the first `there` of a warp's rows, c (16 M, D) with row r of a lane times factor[m][r],
/// to rows that are `ld` elements apart. They pass through the warp's own 16 M rows of a tile,
/// which makes the writes 16 bytes wide.
template <int D, int M, typename Element>
__device__ void store_rows(const float (&c)[M][D / 8][4], const float (&factor)[M][2],
                           Element* tile, Element* rows, std::int64_t ld, int there) {
  const int lane = threadIdx.x % kWarp;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < M; ++m) {
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        Element* at = tile + tile_offset<D>(16 * m + 8 * r + lane / 4, n) + 2 * (lane % 4);
        *reinterpret_cast<unsigned*>(at) =
            pack<Element>(c[m][n][2 * r] * factor[m][r], c[m][n][2 * r + 1] * factor[m][r]);
      }
    }
  }
  __syncwarp();
#pragma unroll
  for (int i = lane; i < 16 * M * (D / 8); i += kWarp) {
    const int row = i / (D / 8), piece = i % (D / 8);
    if (row >= there) break;
    *reinterpret_cast<uint4*>(rows + row * ld + 8 * piece) =
        *reinterpret_cast<const uint4*>(tile + tile_offset<D>(row, piece));
  }
}

/// Calls f with the head size as a constant. requires 32, 64 or 128
template <typename F>
void on_head_size(std::int64_t D, F&& f) {
  if (D == 32) return f(std::integral_constant<int, 32>{});
  if (D == 64) return f(std::integral_constant<int, 64>{});
  return f(std::integral_constant<int, 128>{});
}

}  // namespace qlora::cuda
