#include "quantization/absmax_int8.h"

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "fixtures.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Floats;

struct Rows {
  std::vector<std::int8_t> q;
  Floats absmax;
  Floats restored;
};

Rows round_trip(const Floats& x, std::int64_t rows, std::int64_t columns) {
  Rows r{std::vector<std::int8_t>(x.size(), 99), Floats(static_cast<std::size_t>(rows), NAN),
         Floats(x.size(), NAN)};
  quantize_rowwise_int8(x, rows, columns, r.q, r.absmax);
  dequantize_rowwise_int8(r.q, r.absmax, rows, columns, r.restored);
  return r;
}

TEST(RowwiseInt8, EqualsBitsandbytes) {
  const auto file = SafetensorsFile::open(testing::golden("int8/rowwise.safetensors"));
  const Json json = Json::read(testing::golden("int8/rowwise.json"));
  int cases = 0;
  for (const Json& row : json.at("rows").as_array()) {
    if (row.at("threshold").as_number() != 0.0) continue;  // the others set outliers aside
    const std::string name = row.at("case").as_string();
    SCOPED_TRACE(name);
    const Tensor x = file.tensor(name + ".input");
    const Tensor wide = x.to(DType::f32);
    const auto values = wide.span<float>();
    const Rows r = round_trip(Floats(values.begin(), values.end()), x.dim(0), x.dim(1));
    const auto as_tensor = [](const auto& v, const Shape& shape) {
      using T = typename std::decay_t<decltype(v)>::value_type;
      return Tensor::from<T>(std::span<const T>(v), shape);
    };
    EXPECT_TRUE(testing::same_bytes(as_tensor(r.q, x.shape()), file.tensor(name + ".thr0.q")));
    EXPECT_TRUE(testing::same_bytes(as_tensor(r.absmax, {x.dim(0)}),
                                    file.tensor(name + ".thr0.row_absmax")));
    EXPECT_TRUE(
        testing::same_bytes(as_tensor(r.restored, x.shape()), file.tensor(name + ".thr0.dequant")));
    ++cases;
  }
  EXPECT_EQ(cases, 4);
}

TEST(RowwiseInt8, FirstCodesOfTheGeneratedVector) {
  // An emulation of bitsandbytes in numpy on the first 512 values, rounded to float16, as [8, 64].
  Floats x = testing::lcg_values(512);
  for (float& value : x) value = to_float(to_half(value));
  const Rows r = round_trip(x, 8, 64);
  EXPECT_EQ(r.absmax,
            (Floats{0.06195068359375f, 0.07781982421875f, 0.09881591796875f, 0.0941162109375f,
                    0.0709228515625f, 0.0782470703125f, 0.11175537109375f, 0.09857177734375f}));
  EXPECT_EQ(std::vector<std::int8_t>(r.q.begin(), r.q.begin() + 16),
            (std::vector<std::int8_t>{-101, 9, 21, 26, 92, 74, -59, -95, 37, -75, 106, 62, 29, -2,
                                      67, 26}));
}

TEST(RowwiseInt8, EveryRowHasItsOwnScale) {
  const Rows r = round_trip({1.0f, -0.5f, 0.25f, 100.0f, 50.0f, -200.0f}, 2, 3);
  EXPECT_EQ(r.absmax, (Floats{1.0f, 200.0f}));
  // 63.5 and 31.75; the tie goes to the even 64
  EXPECT_EQ(r.q, (std::vector<std::int8_t>{127, -64, 32, 64, 32, -127}));
}

TEST(RowwiseInt8, ExtremesComeBackAndTheErrorIsBounded) {
  const Floats x = testing::normal_values(7 * 33);
  const Rows r = round_trip(x, 7, 33);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float absmax = r.absmax[i / 33];
    // half a step of absmax / 127, and three roundings of relative 2^-24 on up to 127 steps
    EXPECT_LE(std::abs(x[i] - r.restored[i]), absmax * (0.5 / 127 + 3e-7));
    EXPECT_NE(r.q[i], -128);
  }
}

TEST(RowwiseInt8, RowsWithoutAScale) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Rows r = round_trip({0.0f, -0.0f, 0.0f, 1.0f, nan, -2.0f, 5.0f, infinity, -5.0f}, 3, 3);
  EXPECT_EQ(r.absmax, (Floats{0.0f, 2.0f, infinity}));
  EXPECT_EQ(r.q, (std::vector<std::int8_t>{0, 0, 0, 64, 0, -127, 0, 0, 0}));
  EXPECT_EQ(r.restored[0], 0.0f);
}

TEST(RowwiseInt8, RefusesSizesThatDoNotFit) {
  const Floats x(6);
  std::vector<std::int8_t> q(6);
  Floats absmax(2);
  EXPECT_THROW(quantize_rowwise_int8(x, 2, 4, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_rowwise_int8(x, 3, 2, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_rowwise_int8(x, -2, -3, q, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_rowwise_int8(x, INT64_MAX, 2, q, absmax), std::invalid_argument);
  Floats five(5);
  EXPECT_THROW(dequantize_rowwise_int8(q, absmax, 2, 3, five), std::invalid_argument);
  EXPECT_NO_THROW(quantize_rowwise_int8({}, 0, 4, {}, {}));
}

}  // namespace
}  // namespace qlora
