#include "claims.h"

#include <fmt/format.h>

#include <cmath>

#include "core/dtype.h"
#include "course/text.h"

namespace qlora::chapter01 {
namespace {

using Byte = std::uint8_t;

int code_of(float x, AffineParams params) {
  Byte q = 0;
  quantize_affine<Byte>(std::span(&x, 1), params, std::span(&q, 1));
  return q;
}

// The largest |x - x'| over values of the range, and the root of the mean square.
struct Errors {
  double largest = 0.0;
  double rms = 0.0;
};

// Values a hundredth of a step apart: among them, to a rounding, the worst ones between two codes.
Errors errors_over(Range range, AffineParams params) {
  const auto count = static_cast<std::size_t>((range.max - range.min) / params.scale * 100.0f) + 1;
  std::vector<float> x(count);
  std::vector<Byte> q(count);
  std::vector<float> restored(count);
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>(range.min + double{params.scale} * static_cast<double>(i) / 100.0);
  }
  quantize_affine<Byte>(x, params, q);
  dequantize_affine<Byte>(q, params, restored);
  Errors errors;
  for (std::size_t i = 0; i < count; ++i) {
    const double error = double{x[i]} - double{restored[i]};
    errors.largest = std::max(errors.largest, std::abs(error));
    errors.rms += error * error;
  }
  errors.rms = std::sqrt(errors.rms / static_cast<double>(count));
  return errors;
}

void worked_example(Ledger& ledger, const CourseInputs& in) {
  const AffineParams params = affine_params<Byte>(in.range);
  const double scale = params.scale;
  const double codes = std::exp2(in.to_bits);
  ledger.number("MM-03", codes - 1.0);
  const int low = code_of(in.range.min, params);
  const int high = code_of(in.range.max, params);
  ledger.checked("MM-04",
                 fmt::format("{:g} -> {}, {:g} -> {}", in.range.min, low, in.range.max, high),
                 low == 0 && high == 255);
  const double ratio = (double{in.range.max} - double{in.range.min}) / (codes - 1.0);
  ledger.checked("MM-05",
                 fmt::format("({:g} - {:g})/({} - 0) = {}", in.range.max, in.range.min, codes - 1.0,
                             readable(ratio, 11)),
                 std::abs(scale / ratio - 1.0) <= 0x1p-24);
  ledger.number("MM-06", scale, scale * 0x1p-24);  // the unit's scale is a float32

  std::string examples;
  for (const float x : in.examples) {
    examples +=
        fmt::format("{:g}/s = {} -> {}, ", x, readable(double{x} / ratio, 6), code_of(x, params));
  }
  const Errors errors = errors_over(in.range, params);
  const double half = 0.5 * scale;
  // x / s < 256 and the product each round by at most 2^-24 of 256 steps
  const bool bounded = errors.largest > 0.0 && errors.largest <= half + scale * 512 * 0x1p-24;
  ledger.checked("MM-07",
                 examples + fmt::format("error at most {:.3f}, s/2 = {:.3f}", errors.largest, half),
                 bounded && code_of(250.0f, params) == 64 && code_of(500.0f, params) == 128 &&
                     code_of(750.0f, params) == 191);
  ledger.number("MM-10", params.zero_point);
  ledger.number("MM-14", errors.largest, scale * 512 * 0x1p-24);
}

void kinds_of_quantization(Ledger& ledger, const CourseInputs& in) {
  const AffineParams affine = affine_params<Byte>(in.range);
  const std::vector<float> ends{in.range.min, in.range.max};
  const float symmetric = symmetric_scale(ends);
  std::vector<std::int8_t> q(2);
  quantize_symmetric(ends, symmetric, q);
  ledger.checked("MM-08",
                 fmt::format("affine, zero point {}; symmetric int8 has s = {:.4f} and gives these "
                             "values {} to {} only",
                             affine.zero_point, symmetric, q[0], q[1]),
                 affine.zero_point == 0 && symmetric > affine.scale && q[0] == 0 && q[1] == 127);

  const AffineParams shifted = affine_params<Byte>(in.asymmetric);
  const int low = code_of(in.asymmetric.min, shifted);
  const int high = code_of(in.asymmetric.max, shifted);
  ledger.checked("MM-11",
                 fmt::format("range {:g}..{:g}: s = {:g}, z = {}, q({:g}) = {}, q({:g}) = {}",
                             in.asymmetric.min, in.asymmetric.max, shifted.scale,
                             shifted.zero_point, in.asymmetric.min, low, in.asymmetric.max, high),
                 shifted.zero_point == std::lround(-in.asymmetric.min / shifted.scale) &&
                     low == 0 && high == 255 && code_of(0.0f, shifted) == shifted.zero_point);
}

}  // namespace

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  const std::size_t before = size_of(DType::f32);
  const std::size_t after = size_of(DType::u8);
  ledger.checked("MM-01", fmt::format("float32 -> uint8: {} bytes -> {} byte", before, after),
                 before == 4 && after == 1);
  ledger.number("MM-02", 1.0 - static_cast<double>(in.to_bits) / in.from_bits);
  worked_example(ledger, in);
  kinds_of_quantization(ledger, in);
  const std::string name(python_name(DType::u8));
  ledger.checked("MM-09", name + "; min-max scaler", name == "uint8");
  ledger.test("MM-12", "MseRange.HasTheLeastErrorOfAllCandidates");
  ledger.test("MM-13", "PostTraining.CalibrateQuantizeRun");
  ledger.test("MM-15", "PostTraining.CalibrateQuantizeRun");
  ledger.test("MM-16", "PostTraining.SumsAreIntegers");
}

}  // namespace qlora::chapter01
