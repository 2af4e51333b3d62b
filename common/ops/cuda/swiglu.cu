// SwiGLU and GeGLU, in one pass over its arrays each way.
#include "ops/cuda/ops.h"
#include "ops/cuda/overlap.cuh"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// σ(z) = 1 / (1 + e^−z), within (6 + 1.2 |z|) · 2^-23 of itself: the fast exponential is within
// 2 + 1.173 |z| units in the last place and the fast quotient within 2 (CUDA C++ Programming Guide,
// intrinsic functions). Where e^−z is above 2^126 the quotient is 0.
__device__ float sigmoid(float z) {
  return __fdividef(1.0f, 1.0f + __expf(-z));
}

// What the gate goes through: z·σ(p(z)), and how fast p grows.
template <GateActivation ACTIVATION>
struct Gate {
  static constexpr float kSlope = 1.5957691216057307f;  // 2·sqrt(2/π)
  static constexpr float kCubic = 0.044715f;

  static __device__ float p(float z) {
    if constexpr (ACTIVATION == GateActivation::silu) return z;
    return kSlope * z * (1.0f + kCubic * z * z);
  }
  // z·p'(z)
  static __device__ float growth(float z) {
    if constexpr (ACTIVATION == GateActivation::silu) return z;
    return z * (kSlope * (1.0f + 3.0f * kCubic * z * z));
  }
};

// y (rows,ld) = act(gate) ⊙ up of gate_up (rows,2F): a block for each row and strip of columns.
template <GateActivation ACTIVATION, typename T, int N>
__global__ void __launch_bounds__(kThreads)
    forward(const T* gate_up, int F, T* y, std::int64_t ld) {
  let_next_begin();
  const std::int64_t row = blockIdx.x;
  const int f = (blockIdx.y * kThreads + threadIdx.x) * N;
  if (f >= F) return;
  float gate[N], up[N], out[N];
  load<N>(gate_up + row * 2 * F + f, gate);
  load<N>(gate_up + row * 2 * F + F + f, up);
#pragma unroll
  for (int j = 0; j < N; ++j) out[j] = gate[j] * sigmoid(Gate<ACTIVATION>::p(gate[j])) * up[j];
  store<N>(out, y + row * ld + f);
}

// With σ = σ(p(gate)):  dgate = dy ⊙ up ⊙ σ·(1 + gate·p'·(1 − σ)),  dup = dy ⊙ gate·σ;
// dgate_up (rows,ld)
template <GateActivation ACTIVATION, typename T, int N>
__global__ void __launch_bounds__(kThreads)
    backward(const T* gate_up, const T* dy, int F, T* dgate_up, std::int64_t ld) {
  const std::int64_t row = blockIdx.x;
  const int f = (blockIdx.y * kThreads + threadIdx.x) * N;
  if (f >= F) return;
  float gate[N], up[N], d[N], dgate[N], dup[N];
  load<N>(gate_up + row * 2 * F + f, gate);
  load<N>(gate_up + row * 2 * F + F + f, up);
  load<N>(dy + row * F + f, d);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float sigma = sigmoid(Gate<ACTIVATION>::p(gate[j]));
    const float growth = Gate<ACTIVATION>::growth(gate[j]);
    dgate[j] = d[j] * up[j] * sigma * (1.0f + growth * (1.0f - sigma));
    dup[j] = d[j] * gate[j] * sigma;
  }
  store<N>(dgate, dgate_up + row * ld + f);
  store<N>(dup, dgate_up + row * ld + F + f);
}

// Calls launch with the activation and the width of an access, both compile-time constants, and
// with the grid that covers (rows,F).
template <typename T, typename Launch>
void over_columns(GateActivation activation, std::int64_t rows, int F, bool all_aligned,
                  Launch&& launch) {
  on_width<T>(F % kWide<T> == 0 && all_aligned, [&]<int N>(std::integral_constant<int, N> width) {
    const dim3 grid(static_cast<unsigned>(rows), blocks_for(F, kThreads * N));
    if (activation == GateActivation::silu) {
      launch(std::integral_constant<GateActivation, GateActivation::silu>{}, width, grid);
    } else {
      launch(std::integral_constant<GateActivation, GateActivation::gelu_tanh>{}, width, grid);
    }
  });
}

}  // namespace

void swiglu_forward(const Tensor& gate_up, const Tensor& y, GateActivation activation) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = gate_up.dim(0), F = gate_up.dim(1) / 2, ld = y.dim(1);
  if (rows == 0 || F == 0) return;
  on_element(y, "swiglu_forward", [&]<typename T>(T) {
    const bool wide = ld % kWide<T> == 0 && aligned(gate_up, y);
    over_columns<T>(activation, rows, static_cast<int>(F), wide,
                    [&]<GateActivation A, int N>(std::integral_constant<GateActivation, A>,
                                                 std::integral_constant<int, N>, dim3 grid) {
                      forward<A, T, N><<<grid, kThreads, 0, stream()>>>(
                          elements<T>(gate_up), static_cast<int>(F), elements<T>(y), ld);
                    });
  });
  check_launch("swiglu_forward");
}

void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up,
                     GateActivation activation) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = dy.dim(0), F = dy.dim(1), ld = dgate_up.dim(1);
  if (rows == 0 || F == 0) return;
  on_element(dy, "swiglu_backward", [&]<typename T>(T) {
    const bool wide = ld % kWide<T> == 0 && aligned(gate_up, dy, dgate_up);
    over_columns<T>(activation, rows, static_cast<int>(F), wide,
                    [&]<GateActivation A, int N>(std::integral_constant<GateActivation, A>,
                                                 std::integral_constant<int, N>, dim3 grid) {
                      backward<A, T, N><<<grid, kThreads, 0, stream()>>>(
                          elements<T>(gate_up), elements<T>(dy), static_cast<int>(F),
                          elements<T>(dgate_up), ld);
                    });
  });
  check_launch("swiglu_backward");
}

}  // namespace qlora::cuda
