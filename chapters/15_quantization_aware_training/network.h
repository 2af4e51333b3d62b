// Post-training quantization against quantization-aware training on chapter 1's network.
#pragma once

#include <cstdint>

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

/// Root of the mean square error against sine and cosine over [-pi, pi], of the network with its
/// weights in `bits` bits. The network begins with chapter 1's lines between points of sine and
/// cosine, with scales drawn by the seed, and learns from 64 random points a step.
double network_error(Method method, int bits, std::uint64_t seed);

/// The same of the float network, which nothing is quantized in.
double float_error(std::uint64_t seed);

}  // namespace qlora::chapter15
