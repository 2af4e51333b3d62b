// Inputs by the shape of their data, and small helpers that the quantizer suites share.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "quantization/quantized_tensor.h"

namespace qlora::testing {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

/// Normal values; no two of them, and no two blocks, are equal.
inline Floats normal_values(std::size_t n, std::uint64_t seed = 1, float scale = 1.0f) {
  const Random random{.seed = seed, .stream = 3};
  Floats x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = scale * random.normal(i);
  return x;
}

/// The bell-shaped vector of a linear congruential generator, exact in float32 (tests/golden/nf4,
/// case "lcg"): four draws of 16 bits are added, centred and scaled.
inline Floats lcg_values(std::size_t n) {
  Floats x(n);
  std::uint32_t state = 12345;
  for (float& value : x) {
    std::int32_t sum = -131070;
    for (int draw = 0; draw < 4; ++draw) {
      state = state * 1664525u + 1013904223u;
      sum += static_cast<std::int32_t>(state >> 16);
    }
    value = static_cast<float>(sum) * 0x1p-20f;
  }
  return x;
}

struct NamedFloats {
  std::string name;
  Floats values;
};

/// Flat, plateaus, ramp, normal, and normal with an outlier.
inline std::vector<NamedFloats> shapes_of_data(std::size_t n) {
  Floats flat(n, 0.37f);
  Floats plateaus(n);
  Floats ramp(n);
  for (std::size_t i = 0; i < n; ++i) {
    plateaus[i] = 0.1f * static_cast<float>(static_cast<int>(i / 11 % 7) - 3);
    ramp[i] = 2.0f * static_cast<float>(i) / static_cast<float>(n) - 0.9f;
  }
  Floats outlier = normal_values(n, 5);
  if (n > 40) outlier[40] = -1000.0f;
  return {{"flat", flat},
          {"plateaus", plateaus},
          {"ramp", ramp},
          {"normal", normal_values(n, 2)},
          {"outlier", outlier}};
}

inline std::uint32_t bits_of(float x) {
  return std::bit_cast<std::uint32_t>(x);
}
inline float from_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline float next_up(float x) {
  return std::nextafter(x, INFINITY);
}
inline float next_down(float x) {
  return std::nextafter(x, -INFINITY);
}

/// Steps between two floats on the number line; the two zeros are one point.
inline std::int64_t ulps_between(float a, float b) {
  const auto place = [](float x) {
    const auto bits = static_cast<std::int64_t>(bits_of(x));
    return bits < 0x80000000 ? bits : 0x80000000 - bits;
  };
  return std::abs(place(a) - place(b));
}

/// The codes of n elements, high nibbles first.
inline std::vector<int> unpacked(std::span<const std::uint8_t> packed, std::size_t n) {
  std::vector<int> codes(n);
  for (std::size_t i = 0; i < n; ++i) {
    codes[i] = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
  }
  return codes;
}

inline std::size_t blocks_of(std::size_t n, std::int64_t blocksize) {
  const auto size = static_cast<std::size_t>(blocksize);
  return (n + size - 1) / size;
}

/// A quantizer of 4-bit blocks and its inverse, as nf4.h and fp4.h declare them.
struct FourBit {
  void (*quantize)(std::span<const float>, std::int64_t, std::span<std::uint8_t>, std::span<float>);
  void (*dequantize)(std::span<const std::uint8_t>, std::span<const float>, std::int64_t,
                     std::span<float>);
};

/// Everything that comes of quantizing `x` and restoring it.
struct RoundTrip {
  Bytes packed;
  Floats absmax;
  std::vector<int> codes;
  Floats restored;
};

inline RoundTrip round_trip(const FourBit& format, const Floats& x, std::int64_t blocksize = 64) {
  RoundTrip r;
  r.packed.assign((x.size() + 1) / 2, 0xaa);
  r.absmax.assign(blocks_of(x.size(), blocksize), NAN);
  r.restored.assign(x.size(), NAN);
  format.quantize(x, blocksize, r.packed, r.absmax);
  format.dequantize(r.packed, r.absmax, blocksize, r.restored);
  r.codes = unpacked(r.packed, x.size());
  return r;
}

/// sqrt(Σ (x - x')² / Σ x²).
inline double relative_rms(const Floats& x, const Floats& restored) {
  double error = 0.0;
  double energy = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - double{restored[i]}, 2);
    energy += std::pow(double{x[i]}, 2);
  }
  return std::sqrt(error / energy);
}

}  // namespace qlora::testing
