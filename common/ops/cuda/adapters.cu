// Adapters into the stacked matrices of their group's product, and gradients out of them. A table
// of the adapters travels with a launch as its parameter.
#include <vector>

#include "ops/cuda/adapters.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 4;   // elements a thread
constexpr int kMost = 16;  // adapters a launch

// Where an adapter stands: its projection's rows of W, and its columns within the room.
struct Place {
  float *A, *B, *grad_A, *grad_B;
  float scaling;
  int row, N, column, R;
};

struct Places {
  Place place[kMost];
  int count = 0;
};

// The adapters of a group, kMost at a time.
std::vector<Places> places_of(const LinearGroup& group) {
  std::vector<Places> all(1);
  int row = 0, column = 0;
  for (const Projection& part : group.parts) {
    for (const Adapter& a : part.adapters) {
      require(a.A.dtype() == DType::f32 && a.B.dtype() == DType::f32, "linear",
              "adapters in float32 on a GPU");
      if (all.back().count == kMost) all.emplace_back();
      const int R = static_cast<int>(a.A.dim(0));
      all.back().place[all.back().count++] = {elements<float>(a.A),
                                              elements<float>(a.B),
                                              elements<float>(a.grad_A),
                                              elements<float>(a.grad_B),
                                              static_cast<float>(a.scaling),
                                              row,
                                              static_cast<int>(part.N),
                                              column,
                                              R};
      column += R;
    }
    row += static_cast<int>(part.N);
  }
  return all;
}

__device__ std::int64_t first_element() {
  return (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kEach;
}

// to (rows,K), ld: row j is that of the adapter whose columns hold j; zeros where there is none and
// `clear` says so. K % kEach == 0 where `wide`.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    write_A(const __grid_constant__ Places table, int rows, int K, bool clear, bool wide, T* to,
            std::int64_t ld) {
  const std::int64_t i = first_element();
  if (i >= static_cast<std::int64_t>(rows) * K) return;
  const std::int64_t end = min(i + kEach, static_cast<std::int64_t>(rows) * K);
  if (wide) {
    const int j = static_cast<int>(i / K), k = static_cast<int>(i % K);
    float values[kEach] = {};
    bool found = false;
    for (int p = 0; p < table.count; ++p) {
      const Place& place = table.place[p];
      if (j < place.column || j >= place.column + place.R) continue;
      load<kEach>(place.A + static_cast<std::int64_t>(j - place.column) * K + k, values);
      found = true;
    }
    if (found || clear) store<kEach>(values, to + j * ld + k);
    return;
  }
  for (std::int64_t e = i; e < end; ++e) {
    const int j = static_cast<int>(e / K), k = static_cast<int>(e % K);
    if (clear) to[j * ld + k] = from_float<T>(0.0f);
    for (int p = 0; p < table.count; ++p) {
      const Place& place = table.place[p];
      if (j < place.column || j >= place.column + place.R) continue;
      const std::int64_t at = static_cast<std::int64_t>(j - place.column) * K + k;
      to[j * ld + k] = from_float<T>(place.A[at]);
    }
  }
}

// to (rows,room), ld: s·B of each adapter in its place, and zeros elsewhere where `clear`.
template <typename T>
__global__ void __launch_bounds__(kThreads) write_B(const __grid_constant__ Places table, int rows,
                                                    int room, bool clear, T* to, std::int64_t ld) {
  const std::int64_t i = first_element();  // room % kEach == 0: one row
  if (i >= static_cast<std::int64_t>(rows) * room) return;
  const int n = static_cast<int>(i / room), first = static_cast<int>(i % room);
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int j = first + e;
    T* target = to + n * ld + j;
    bool found = false;
    float value = 0.0f;
    for (int p = 0; p < table.count; ++p) {
      const Place& place = table.place[p];
      const int r = j - place.column, row = n - place.row;
      if (r < 0 || r >= place.R || row < 0 || row >= place.N) continue;
      value = place.scaling * place.B[static_cast<std::int64_t>(row) * place.R + r];
      found = true;
    }
    if (found || clear) *target = from_float<T>(value);
  }
}

// grad_A += dA's rows, grad_B += s · dB's block: blockIdx.y is the adapter, blockIdx.z the matrix.
__global__ void __launch_bounds__(kThreads)
    take_apart(const __grid_constant__ Places table, const float* dA, std::int64_t ld_A, int K,
               const float* dB, std::int64_t ld_B) {
  const Place& place = table.place[blockIdx.y];
  if (place.grad_A == nullptr) return;  // not trained
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (blockIdx.z == 0) {
    for (std::int64_t e = i; e < static_cast<std::int64_t>(place.R) * K; e += step) {
      place.grad_A[e] += dA[(place.column + e / K) * ld_A + e % K];
    }
  } else {
    for (std::int64_t e = i; e < static_cast<std::int64_t>(place.N) * place.R; e += step) {
      const float part = dB[(place.row + e / place.R) * ld_B + place.column + e % place.R];
      place.grad_B[e] += place.scaling * part;
    }
  }
}

}  // namespace

void stack_A(const LinearGroup& group, const Matrix& A) {
  const Timed timed(ops::Part::lora);
  const bool wide = A.columns % kEach == 0 && A.ld % kEach == 0;
  bool clear = true;
  for (const Places& table : places_of(group)) {
    on_element(A.dtype, "stack_A", [&]<typename T>(T) {
      write_A<T><<<blocks_for(A.rows * A.columns, kThreads * kEach), kThreads, 0, stream()>>>(
          table, static_cast<int>(A.rows), static_cast<int>(A.columns), clear, wide,
          static_cast<T*>(A.data), A.ld);
    });
    clear = false;
  }
  check_launch("stack_A");
}

void stack_B(const LinearGroup& group, const Matrix& B) {
  const Timed timed(ops::Part::lora);
  require(B.columns % kEach == 0, "stack_B", "a room of a multiple of 4 columns");
  bool clear = true;
  for (const Places& table : places_of(group)) {
    on_element(B.dtype, "stack_B", [&]<typename T>(T) {
      write_B<T><<<blocks_for(B.rows * B.columns, kThreads * kEach), kThreads, 0, stream()>>>(
          table, static_cast<int>(B.rows), static_cast<int>(B.columns), clear,
          static_cast<T*>(B.data), B.ld);
    });
    clear = false;
  }
  check_launch("stack_B");
}

void add_gradients(const LinearGroup& group, const Matrix& dA, const Matrix& dB) {
  const Timed timed(ops::Part::lora);
  for (const Places& table : places_of(group)) {
    const dim3 grid(static_cast<unsigned>(device().multiprocessors),
                    static_cast<unsigned>(table.count), 2);
    take_apart<<<grid, kThreads, 0, stream()>>>(table, static_cast<const float*>(dA.data), dA.ld,
                                                static_cast<int>(dA.columns),
                                                static_cast<const float*>(dB.data), dB.ld);
  }
  check_launch("add_gradients");
}

}  // namespace qlora::cuda
