// Post-training quantization against quantization-aware training on chapter 1's network.
#pragma once

#include <optional>
#include <vector>

#include "01_min_max_quantization/network.h"
#include "ops/linear.h"

namespace qlora::chapter15 {

/// How a network comes to weights of few bits. All make as many steps on the same points.
enum class Method {
  ptq,     ///< trained in float32, quantized at the end
  qat,     ///< quantized in every forward pass, with the straight-through gradient
  frozen,  ///< the same for the first half; from there on only the biases learn
  biases,  ///< with the true derivative of rounding, 0: only the biases learn
};

/// "PTQ", …
const char* name_of(Method method);

/// What the weights of both layers are quantized to in this chapter: one range a tensor.
FakeFormat integers_of(int bits);

/// A layer of the network as the decoder's op takes it, with its bias and their gradients.
struct TrainedLayer {
  LinearGroup group;  ///< its weight (N,K), alone in the group
  Tensor b;           ///< (N)
  Tensor grad_b;      ///< (N)

  /// A copy of chapter 1's layer. Without a format it is trained in float32.
  TrainedLayer(const chapter01::Layer& layer, const std::optional<FakeFormat>& format);
  /// The layer with the weights that a pass sees.
  chapter01::Layer seen() const;
};

/// Root of the mean square error against sine and cosine over [-pi, pi], of the network with its
/// weights in `bits` bits. The network begins with chapter 1's lines between points of sine and
/// cosine, with scales drawn by the seed, and learns from 64 random points a step.
double network_error(Method method, int bits, std::uint64_t seed);

/// The same of the float network, which nothing is quantized in.
double float_error(std::uint64_t seed);

}  // namespace qlora::chapter15
