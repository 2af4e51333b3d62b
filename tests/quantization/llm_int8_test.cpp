#include "quantization/llm_int8.h"

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "fixtures.h"
#include "quantization/absmax_int8.h"
#include "quantization/rounding.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Floats;

struct Rows {
  std::vector<std::int8_t> q;
  Floats absmax;
  std::vector<std::int64_t> outliers;
};

Rows quantized(const Floats& x, std::int64_t rows, std::int64_t columns, float threshold) {
  Rows r{std::vector<std::int8_t>(x.size(), 99), Floats(static_cast<std::size_t>(rows), NAN), {}};
  r.outliers = quantize_int8_outliers(x, rows, columns, threshold, r.q, r.absmax);
  return r;
}

Floats values_of(const Tensor& t) {
  const Tensor wide = t.to(DType::f32);
  const auto values = wide.span<float>();
  return {values.begin(), values.end()};
}

template <typename T>
Tensor as_tensor(const std::vector<T>& values, const Shape& shape) {
  return Tensor::from<T>(std::span<const T>(values), shape);
}

TEST(Outliers, EqualBitsandbytes) {
  const auto file = SafetensorsFile::open(testing::golden("int8/rowwise.safetensors"));
  const Json json = Json::read(testing::golden("int8/rowwise.json"));
  int cases = 0;
  for (const Json& row : json.at("rows").as_array()) {
    const std::string name = row.at("case").as_string();
    const double threshold = row.at("threshold").as_number();
    const std::string prefix = name + (threshold == 0.0 ? ".thr0." : ".thr6.");
    SCOPED_TRACE(prefix);
    const Tensor x = file.tensor(name + ".input");
    const Rows r = quantized(values_of(x), x.dim(0), x.dim(1), static_cast<float>(threshold));
    EXPECT_TRUE(testing::same_bytes(as_tensor(r.q, x.shape()), file.tensor(prefix + "q")));
    EXPECT_TRUE(
        testing::same_bytes(as_tensor(r.absmax, {x.dim(0)}), file.tensor(prefix + "row_absmax")));
    Floats restored(r.q.size());
    dequantize_rowwise_int8(r.q, r.absmax, x.dim(0), x.dim(1), restored);
    EXPECT_TRUE(
        testing::same_bytes(as_tensor(restored, x.shape()), file.tensor(prefix + "dequant")));
    if (threshold > 0.0) {
      const Tensor outliers = file.tensor(prefix + "outlier_cols");
      EXPECT_TRUE(testing::same_bytes(as_tensor(r.outliers, outliers.shape()), outliers));
    } else {
      EXPECT_TRUE(r.outliers.empty());
    }
    ++cases;
  }
  EXPECT_EQ(cases, 8);
}

TEST(Outliers, LeaveTheirColumnAndTheRowsScale) {
  // Row 0 has an outlier in column 1, whose other element, 5, is small, but goes with its column,
  // after it has counted for its row's scale.
  const Rows r = quantized({1.0f, -40.0f, 2.0f, -1.0f, 5.0f, 2.5f}, 2, 3, 6.0f);
  EXPECT_EQ(r.outliers, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(r.absmax, (Floats{2.0f, 5.0f}));
  // 63.5 and -25.4 and 63.5
  EXPECT_EQ(r.q, (std::vector<std::int8_t>{64, 0, 127, -25, 0, 64}));
}

TEST(Outliers, BeginAtTheThresholdItselfOnEitherSide) {
  const Floats x{6.0f, testing::next_down(6.0f), -6.0f, testing::next_up(-6.0f)};
  const Rows r = quantized(x, 1, 4, 6.0f);
  EXPECT_EQ(r.outliers, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(r.q, (std::vector<std::int8_t>{0, 127, 0, -127}));
}

TEST(Outliers, ThresholdZeroMeansNone) {
  const Floats x = testing::normal_values(5 * 17, 8, 9.0f);
  const Rows r = quantized(x, 5, 17, 0.0f);
  std::vector<std::int8_t> q(x.size());
  Floats absmax(5);
  quantize_rowwise_int8(x, 5, 17, q, absmax);
  EXPECT_TRUE(r.outliers.empty());
  EXPECT_EQ(r.q, q);
  EXPECT_EQ(r.absmax, absmax);
}

TEST(Outliers, RowsOfNothingElseAndNaN) {
  const Rows all = quantized({7.0f, -8.0f, 9.0f, 9.5f}, 2, 2, 6.0f);
  EXPECT_EQ(all.absmax, (Floats{0.0f, 0.0f}));
  EXPECT_EQ(all.q, (std::vector<std::int8_t>{0, 0, 0, 0}));
  const Rows nan = quantized({NAN, 2.0f}, 1, 2, 6.0f);
  EXPECT_TRUE(nan.outliers.empty());
  EXPECT_EQ(nan.q, (std::vector<std::int8_t>{0, 127}));
}

TEST(Outliers, RefuseWhatDoesNotFit) {
  const Floats x(6);
  std::vector<std::int8_t> q(6);
  Floats absmax(2);
  EXPECT_NO_THROW(quantize_int8_outliers(x, 2, 3, 6.0f, q, absmax));
  EXPECT_THROW(quantize_int8_outliers(x, 2, 4, 6.0f, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_int8_outliers(x, 3, 2, 6.0f, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_int8_outliers(x, 2, 3, -6.0f, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_int8_outliers(x, 2, 3, NAN, q, absmax), std::invalid_argument);
}

// The golden layer, made from its float16 weight.
struct Layer {
  std::vector<std::int8_t> codes;
  Floats absmax;
  Int8Weight weight;
  explicit Layer(const Tensor& w)
      : codes(static_cast<std::size_t>(w.numel())), absmax(static_cast<std::size_t>(w.dim(0))) {
    quantize_rowwise_int8(values_of(w), w.dim(0), w.dim(1), codes, absmax);
    weight = {codes, absmax, w.dim(0), w.dim(1)};
  }
};

// Steps between two float16 numbers on the number line.
int half_steps(float a, float b) {
  const auto place = [](float x) {
    const int bits = to_half(x).bits;
    return bits < 0x8000 ? bits : 0x8000 - bits;
  };
  return std::abs(place(a) - place(b));
}

TEST(LinearInt8, WeightIsStoredAsBitsandbytesStoresIt) {
  const auto file = SafetensorsFile::open(testing::golden("int8/linear8bit.safetensors"));
  const auto state =
      SafetensorsFile::open(testing::golden("int8/linear8bit_state_dict.safetensors"));
  const Layer layer(file.tensor("weight"));
  const Tensor codes = as_tensor(layer.codes, {48, 64});
  EXPECT_TRUE(testing::same_bytes(codes, file.tensor("CB")));
  EXPECT_TRUE(testing::same_bytes(codes, state.tensor("weight")));
  EXPECT_TRUE(testing::same_bytes(as_tensor(layer.absmax, {48}), file.tensor("SCB")));
  EXPECT_TRUE(testing::same_bytes(as_tensor(layer.absmax, {48}), state.tensor("SCB")));
  EXPECT_EQ(state.tensor("weight_format").span<std::uint8_t>()[0], 0);
  const Floats x(64, 1.0f);
  Floats y(48);
  Floats y_read(48);  // by the layer that was read from a file
  const Tensor read = state.tensor("weight");
  linear_int8(layer.weight, x, 1, {}, 6.0f, y);
  linear_int8({read.span<std::int8_t>(), state.tensor("SCB").span<float>(), 48, 64}, x, 1, {}, 6.0f,
              y_read);
  EXPECT_EQ(y, y_read);
}

TEST(LinearInt8, EqualsLinear8bitLt) {
  const auto file = SafetensorsFile::open(testing::golden("int8/linear8bit.safetensors"));
  const Json json = Json::read(testing::golden("int8/linear8bit.json"));
  const Layer layer(file.tensor("weight"));
  const Floats x = values_of(file.tensor("x"));
  const Floats bias = values_of(file.tensor("bias"));
  int cases = 0;
  for (const Json& row : json.at("rows").as_array()) {
    if (row.find("threshold") == nullptr) continue;  // the state dict's
    const auto threshold = static_cast<float>(row.at("threshold").as_number());
    const std::string prefix = threshold == 0.0f ? "thr0." : "thr6.";
    SCOPED_TRACE(prefix);
    const Rows r = quantized(x, 10, 64, threshold);
    EXPECT_TRUE(testing::same_bytes(as_tensor(r.q, {10, 64}), file.tensor(prefix + "CA")));
    EXPECT_TRUE(testing::same_bytes(as_tensor(r.absmax, {10}), file.tensor(prefix + "SCA")));
    Floats y(480, NAN);
    linear_int8(layer.weight, x, 10, bias, threshold, y);
    const Floats expected = values_of(file.tensor(prefix + "y"));
    for (std::size_t i = 0; i < y.size(); ++i) {
      // The integers are equal; what is left are roundings to float16, two of them with outliers
      // (tests/golden/README.md).
      EXPECT_LE(half_steps(y[i], expected[i]), threshold == 0.0f ? 1 : 2)
          << i << ": " << y[i] << ", expected " << expected[i];
    }
    ++cases;
  }
  EXPECT_EQ(cases, 2);
}

TEST(LinearInt8, GradientEqualsLinear8bitLt) {
  const auto file = SafetensorsFile::open(testing::golden("int8/linear8bit.safetensors"));
  const Layer layer(file.tensor("weight"));
  const Floats grad_y = values_of(file.tensor("grad_out"));
  Floats grad_x(640, NAN);
  linear_int8_backward(layer.weight, grad_y, 10, grad_x);
  for (const char* name : {"thr0.grad_x", "thr6.grad_x"}) {
    // half a float16 step each of values up to the largest: 2 * 2^-11 of it
    EXPECT_TRUE(testing::close_to_largest(as_tensor(grad_x, {2, 5, 64}), file.tensor(name), 1e-3));
  }
}

// A layer and activations with large columns, no golden file needed.
struct Example {
  static constexpr std::int64_t T = 6, K = 40, N = 9;
  Floats x = testing::normal_values(T * K, 21);
  Floats w = testing::normal_values(N * K, 22, 0.1f);
  Floats bias = testing::normal_values(N, 23);
  std::vector<std::int8_t> codes = std::vector<std::int8_t>(N * K);
  Floats absmax = Floats(N);
  Example() {
    for (std::size_t t = 0; t < T; ++t) {
      x[t * K + 3] = 30.0f + static_cast<float>(t);
      x[t * K + 17] = t == 2 ? -55.0f : 0.5f;
    }
    round_to(DType::f16, x);
    round_to(DType::f16, w);
    round_to(DType::f16, bias);
    quantize_rowwise_int8(w, N, K, codes, absmax);
  }
  Floats run(float threshold, bool with_bias) const {
    Floats y(T * N, NAN);
    linear_int8({codes, absmax, N, K}, x, T,
                with_bias ? std::span<const float>(bias) : std::span<const float>(), threshold, y);
    return y;
  }
  // Σ_k x w in double; with W' in place of w.
  std::vector<double> exact(const Floats& weight, bool with_bias) const {
    std::vector<double> y;
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t n = 0; n < N; ++n) {
        double sum = with_bias ? double{bias[n]} : 0.0;
        for (std::size_t k = 0; k < K; ++k) sum += double{x[t * K + k]} * double{weight[n * K + k]};
        y.push_back(sum);
      }
    }
    return y;
  }
};

double worst_difference(const Floats& y, const std::vector<double>& exact) {
  double worst = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) worst = std::max(worst, std::abs(y[i] - exact[i]));
  return worst;
}

TEST(LinearInt8, OutliersAreMultipliedInFullPrecision) {
  const Example e;
  Floats restored(e.w.size());
  dequantize_rowwise_int8(e.codes, e.absmax, Example::N, Example::K, restored);
  for (const bool with_bias : {true, false}) {
    // On the restored weights only the small columns' rounding is left: 38 values, each off by half
    // a step of at most 6/127, times weights of at most 0.4, if all of them conspired; and float16.
    const std::vector<double> exact = e.exact(restored, with_bias);
    EXPECT_LE(worst_difference(e.run(6.0f, with_bias), exact), 38 * 0.5 * (6.0 / 127) * 0.4 * 0.3);
    // Without a threshold the step is 55/127 in row 2, and 30/127 and more in the others.
    EXPECT_GT(worst_difference(e.run(0.0f, with_bias), exact),
              2.0 * worst_difference(e.run(6.0f, with_bias), exact));
  }
}

TEST(LinearInt8, EveryRowAndEveryOutputHasItsOwnScale) {
  // Rows of x and of W that differ by factors of 100: a scale taken from the wrong one shows.
  const Floats x{100.0f, 50.0f, 1.0f, 0.5f};
  const std::vector<std::int8_t> codes{127, 0, 0, 127, 127, 127};
  const Floats absmax{1.0f, 10.0f, 0.01f};
  Floats y(6, NAN);
  linear_int8({codes, absmax, 3, 2}, x, 2, {}, 0.0f, y);
  // 50 is the code 63.5, rounded to 64
  const Floats expected{100.0f, 10.0f * 100.0f * 64 / 127, 0.01f * 100.0f * 191 / 127,
                        1.0f,   10.0f * 64 / 127,          0.01f * 191 / 127};
  for (std::size_t i = 0; i < y.size(); ++i) {
    EXPECT_TRUE(testing::is_close(y[i], expected[i], 0.0, 0x1p-11)) << i;  // float16
  }
}

TEST(LinearInt8, InputAndOutputAreFloat16) {
  const Example e;
  for (const float value : e.run(6.0f, true)) EXPECT_EQ(value, to_float(to_half(value)));
  // 1 + 2^-12 is 1 in float16, and 6 - 2^-10 rounds to 6, an outlier
  const std::vector<std::int8_t> codes{127, 127};
  const Floats absmax{1.0f};
  Floats y(1);
  Floats y_rounded(1);
  linear_int8({codes, absmax, 1, 2}, Floats{1.0f + 0x1p-12f, 6.0f - 0x1p-10f}, 1, {}, 6.0f, y);
  linear_int8({codes, absmax, 1, 2}, Floats{1.0f, 6.0f}, 1, {}, 6.0f, y_rounded);
  EXPECT_EQ(y, y_rounded);
  EXPECT_EQ(y[0], 7.0f);
}

TEST(LinearInt8, RefusesSizesThatDoNotFit) {
  const Example e;
  const Int8Weight w{e.codes, e.absmax, Example::N, Example::K};
  Floats y(Example::T * Example::N);
  EXPECT_THROW(linear_int8(w, e.x, 5, {}, 6.0f, y), std::invalid_argument);
  EXPECT_THROW(linear_int8(w, e.x, 6, Floats(8), 6.0f, y), std::invalid_argument);
  Floats grad_x(e.x.size() - 1);
  EXPECT_THROW(linear_int8_backward(w, y, 6, grad_x), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
