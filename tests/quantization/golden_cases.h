// What the suites against bitsandbytes' own 4-bit numbers share.
#pragma once

#include <string>

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "fixtures.h"
#include "quantization/dynamic_map.h"
#include "quantization/fp4.h"
#include "quantization/nf4.h"

namespace qlora::testing {

inline QuantType quant_type_of(const std::string& name) {
  return name == "nf4" ? QuantType::nf4 : QuantType::fp4;
}

/// What the names of an input's codes, maxima and values begin with in nf4/cases.
inline std::string quantized_name(const std::string& input, const std::string& type,
                                  std::int64_t blocksize) {
  return input + "." + type + ".bs" + std::to_string(blocksize);
}

/// quant_map as bitsandbytes serializes it.
inline Tensor quant_map_of(QuantType type) {
  return quantize_4bit(Tensor::zeros(DType::f32, {1}), type).code;
}

/// A tensor put together from the library's codes and maxima.
inline QuantizedTensor assembled(QuantType type, std::int64_t blocksize, DType dtype, Shape shape,
                                 const Tensor& packed, const Tensor& absmax) {
  QuantizedTensor q;
  q.type = type;
  q.blocksize = blocksize;
  q.dtype = dtype;
  q.shape = std::move(shape);
  q.packed = packed;
  q.code = quant_map_of(type);
  q.absmax = absmax;
  return q;
}

/// Steps of float32 from x * (1 / absmax) to the nearest decision threshold of the format.
inline std::int64_t ulps_to_threshold(QuantType type, float x, float absmax) {
  const float scaled = x * (1.0f / absmax);
  std::int64_t nearest = INT64_MAX;
  const auto consider = [&](std::span<const float> thresholds, float value) {
    for (const float t : thresholds) nearest = std::min(nearest, ulps_between(value, t));
  };
  if (type == QuantType::nf4) {
    consider(kNf4Thresholds, scaled);
  } else {
    consider(kFp4Thresholds, std::abs(scaled));
  }
  return nearest;
}

/// Elements whose codes differ. Each is printed; one that is not within two units in the last place
/// of a threshold fails the test: no rounding of the reciprocal explains it.
inline int differing_codes(const QuantizedTensor& q, const Tensor& x, const Tensor& packed) {
  const Tensor wide = x.to(DType::f32);
  const Tensor absmax = restored_absmax(q);
  const auto n = static_cast<std::size_t>(x.numel());
  const auto actual = unpacked(q.packed.span<std::uint8_t>(), n);
  const auto expected = unpacked(packed.span<std::uint8_t>(), n);
  int differing = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (actual[i] == expected[i]) continue;
    ++differing;
    const float value = wide.data<float>()[i];
    const float scale = absmax.data<float>()[i / static_cast<std::size_t>(q.blocksize)];
    const std::int64_t ulps = ulps_to_threshold(q.type, value, scale);
    const std::string what =
        "element " + std::to_string(i) + ": code " + std::to_string(actual[i]) + ", bitsandbytes " +
        std::to_string(expected[i]) + ", " + std::to_string(ulps) + " units from a threshold";
    std::printf("%s\n", what.c_str());
    EXPECT_LE(ulps, 2) << what;
  }
  return differing;
}

}  // namespace qlora::testing
