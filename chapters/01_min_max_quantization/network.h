// A small network with known weights, and the same network in integers: post-training quantization
// from end to end.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "quantization/affine.h"
#include "quantization/integer_product.h"

namespace qlora::chapter01 {

/// y = W x + b, W (N,K).
struct Layer {
  std::int64_t N = 0;    ///< outputs
  std::int64_t K = 0;    ///< inputs
  std::vector<float> W;  ///< [N, K]
  std::vector<float> b;  ///< [N]
};

/// y (T,2) = W2 relu(W1 x + b1) + b2.
struct Network {
  Layer hidden;  ///< 1 -> H
  Layer output;  ///< H -> 2
};

/// H of the lesson's network.
inline constexpr std::int64_t kHiddenUnits = 16;

/// n points of [-pi, pi], both ends among them.
inline std::vector<float> points(std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = -3.1415927f + 6.2831853f * static_cast<float>(i) / static_cast<float>(n - 1);
  }
  return x;
}

/// The network whose outputs are the straight lines between H points of sine and cosine over
/// [-pi, pi]. Hidden unit i bends at knot t_i: a_i relu(x - t_i), and its output weight is the
/// change of slope there over a_i. No training: the a_i are drawn from [0.5, 1.5).
inline Network sine_and_cosine(std::int64_t H, std::uint64_t seed = 1) {
  constexpr double kPi = 3.14159265358979323846;
  const Random random{seed, 0};
  Network net{{H, 1, {}, {}}, {2, H, {}, {}}};
  const double step = 2.0 * kPi / static_cast<double>(H);
  for (std::int64_t i = 0; i < H; ++i) {
    const float a = 0.5f + random.uniform(static_cast<std::uint64_t>(i));
    net.hidden.W.push_back(a);
    net.hidden.b.push_back(static_cast<float>(-a * (-kPi + step * static_cast<double>(i))));
  }
  for (const bool is_sine : {true, false}) {
    const auto f = [&](double t) { return is_sine ? std::sin(t) : std::cos(t); };
    double slope = 0.0;
    for (std::int64_t i = 0; i < H; ++i) {
      const double t = -kPi + step * static_cast<double>(i);
      const double next = (f(t + step) - f(t)) / step;
      const double a = net.hidden.W[static_cast<std::size_t>(i)];
      net.output.W.push_back(static_cast<float>((next - slope) / a));
      slope = next;
    }
    net.output.b.push_back(static_cast<float>(f(-kPi)));
  }
  return net;
}

/// y (T,N) = x (T,K) Wᵀ + b in float32.
inline std::vector<float> forward(const Layer& layer, const std::vector<float>& x) {
  const std::size_t T = x.size() / static_cast<std::size_t>(layer.K);
  std::vector<float> y;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::int64_t n = 0; n < layer.N; ++n) {
      float sum = layer.b[static_cast<std::size_t>(n)];
      for (std::int64_t k = 0; k < layer.K; ++k) {
        sum += x[t * static_cast<std::size_t>(layer.K) + static_cast<std::size_t>(k)] *
               layer.W[static_cast<std::size_t>(n * layer.K + k)];
      }
      y.push_back(sum);
    }
  }
  return y;
}

/// A layer in integers: symmetric int8 weights, affine uint8 inputs.
struct IntegerLayer {
  std::int64_t N = 0;                  ///< outputs
  std::int64_t K = 0;                  ///< inputs
  std::vector<std::int8_t> W;          ///< [N, K]
  std::vector<std::int32_t> row_sums;  ///< [N], what the inputs' zero point is multiplied with
  std::vector<float> b;                ///< [N]
  float weight_scale = 1.0f;           ///< of all of W
  AffineParams input;                  ///< of x, from calibration
};

/// Steps 1 and 2 of post-training quantization for one layer: its inputs' range, seen on
/// calibration data, gives their scale and zero point; its weights become integers.
inline IntegerLayer quantized(const Layer& layer, Range inputs) {
  IntegerLayer q{layer.N,
                 layer.K,
                 {},
                 {},
                 layer.b,
                 symmetric_scale(layer.W),
                 affine_params<std::uint8_t>(inputs)};
  q.W.resize(layer.W.size());
  quantize_symmetric(layer.W, q.weight_scale, q.W);
  for (std::int64_t n = 0; n < layer.N; ++n) {
    std::int32_t sum = 0;
    for (std::int64_t k = 0; k < layer.K; ++k)
      sum += q.W[static_cast<std::size_t>(n * layer.K + k)];
    q.row_sums.push_back(sum);
  }
  return q;
}

/// Step 3: y = s_x s_w (Σ q_x q_w - z_x Σ q_w) + b. The sums are integers.
// [integer_layer]
inline std::vector<float> forward(const IntegerLayer& layer, const std::vector<float>& x) {
  const auto T = static_cast<std::int64_t>(x.size()) / layer.K;
  std::vector<std::uint8_t> q(x.size());
  quantize_affine<std::uint8_t>(x, layer.input, q);
  std::vector<std::int32_t> acc(static_cast<std::size_t>(T * layer.N));
  integer_product<std::uint8_t>(q, layer.W, T, layer.N, layer.K, acc);
  std::vector<float> y(acc.size());
  const float scale = layer.input.scale * layer.weight_scale;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t n = i % static_cast<std::size_t>(layer.N);
    const std::int32_t sum = acc[i] - layer.input.zero_point * layer.row_sums[n];
    y[i] = scale * static_cast<float>(sum) + layer.b[n];
  }
  return y;
}
// [/integer_layer]

/// max(0, x) for each value.
inline std::vector<float> relu(std::vector<float> x) {
  for (float& value : x) value = std::max(value, 0.0f);
  return x;
}

/// The network in integers.
struct IntegerNetwork {
  IntegerLayer hidden;  ///< 1 -> H
  IntegerLayer output;  ///< H -> 2
};

/// Steps 1 and 2 for the network: the float network runs on the calibration inputs once.
inline IntegerNetwork quantized(const Network& net, const std::vector<float>& calibration) {
  const std::vector<float> hidden = relu(forward(net.hidden, calibration));
  return {quantized(net.hidden, min_max_range(calibration)),
          quantized(net.output, min_max_range(hidden))};
}

/// Either network.
template <typename Net>
std::vector<float> run_network(const Net& net, const std::vector<float>& x) {
  return forward(net.output, relu(forward(net.hidden, x)));
}

}  // namespace qlora::chapter01
