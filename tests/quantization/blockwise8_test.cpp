#include "quantization/blockwise8.h"

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "fixtures.h"
#include "quantization/dynamic_map.h"
#include "quantization/rounding.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::Bytes;
using testing::Floats;

struct Blockwise {
  Bytes codes;
  Floats absmax;
  Floats restored;
};

Blockwise round_trip(std::span<const float> x, std::int64_t blocksize, const DynamicMap& map) {
  Blockwise r{Bytes(x.size(), 0xaa), Floats(testing::blocks_of(x.size(), blocksize), NAN),
              Floats(x.size(), NAN)};
  quantize_blockwise8(x, map, blocksize, r.codes, r.absmax);
  dequantize_blockwise8(r.codes, map, r.absmax, blocksize, r.restored);
  return r;
}

void expect_golden(const SafetensorsFile& file, const std::string& input, std::int64_t blocksize,
                   const DynamicMap& map) {
  SCOPED_TRACE(input + " " + std::to_string(blocksize));
  const Tensor x = file.tensor(input + ".input");
  const Tensor wide = x.to(DType::f32);
  Blockwise r = round_trip(wide.span<float>(), blocksize, map);
  round_to(x.dtype(), r.restored);
  const std::string prefix = input + ".bs" + std::to_string(blocksize);
  EXPECT_TRUE(testing::same_bytes(Tensor::from<std::uint8_t>(r.codes, x.shape()),
                                  file.tensor(prefix + ".codes")));
  const Tensor absmax = file.tensor(prefix + ".absmax");
  EXPECT_TRUE(testing::same_bytes(Tensor::from<float>(r.absmax, absmax.shape()), absmax));
  EXPECT_TRUE(testing::same_bytes(Tensor::from<float>(r.restored, x.shape()).to(x.dtype()),
                                  file.tensor(prefix + ".dequant")));
}

TEST(Blockwise8, EqualsBitsandbytes) {
  const auto file = SafetensorsFile::open(testing::golden("int8/blockwise.safetensors"));
  const Json json = Json::read(testing::golden("int8/blockwise.json"));
  for (const Json& row : json.at("rows").as_array()) {
    expect_golden(file, row.at("case").as_string() + "." + row.at("input_dtype").as_string(),
                  row.at("blocksize").as_integer(), create_dynamic_map());
  }
  expect_golden(file, "unsigned.f32", 256, create_dynamic_map(false));
}

TEST(Blockwise8, FirstCodesOfTheGeneratedVector) {
  // An emulation of bitsandbytes in numpy.
  const Blockwise r = round_trip(testing::lcg_values(4096), 4096, create_dynamic_map());
  EXPECT_EQ(r.absmax, Floats{0.11177349090576172f});
  EXPECT_EQ(Bytes(r.codes.begin(), r.codes.begin() + 16),
            (Bytes{39, 168, 187, 191, 212, 206, 52, 41, 195, 47, 216, 203, 192, 100, 204, 191}));
}

// The nearest value by looking at all of them; of two equally near the even index.
int nearest_by_search(const DynamicMap& map, float x) {
  int best = 0;
  for (int k = 1; k < 256; ++k) {
    const double nearer =
        std::abs(double{map[k]} - double{x}) - std::abs(double{map[best]} - double{x});
    if (nearer < 0.0 || (nearer == 0.0 && k % 2 == 0)) best = k;
  }
  return best;
}

TEST(Blockwise8, TakesTheNearestValue) {
  for (const bool is_signed : {true, false}) {
    const DynamicMap map = create_dynamic_map(is_signed);
    Floats x = testing::normal_values(4000, 9, 0.25f);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (i % 3 == 0) x[i] *= std::pow(0.1f, static_cast<float>(i % 7));
      if (!is_signed) x[i] = std::abs(x[i]);
      x[i] = std::clamp(x[i], -1.0f, 1.0f);
    }
    x[17] = 1.0f;  // the scale is 1, and nothing is rounded before the search
    const Blockwise r = round_trip(x, 4096, map);
    ASSERT_EQ(r.absmax[0], 1.0f);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(r.codes[i], nearest_by_search(map, x[i])) << x[i];
    }
  }
}

TEST(Blockwise8, ExactTiesGoToTheEvenIndex) {
  const DynamicMap map = create_dynamic_map();
  for (std::size_t k = 0; k + 1 < map.size(); ++k) {
    const float midpoint = (map[k] + map[k + 1]) * 0.5f;
    const Blockwise r = round_trip(
        Floats{testing::next_down(midpoint), midpoint, testing::next_up(midpoint), 1.0f}, 4, map);
    EXPECT_EQ(r.codes[0], k);
    EXPECT_EQ(r.codes[1], k % 2 == 0 ? k : k + 1) << k;
    EXPECT_EQ(r.codes[2], k + 1);
  }
}

TEST(Blockwise8, ExtremesAndNonFiniteValues) {
  const DynamicMap map = create_dynamic_map();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  // +absmax comes back exactly, -absmax does not: the map has no -1
  EXPECT_EQ(round_trip(Floats{3.0f, -3.0f}, 2, map).codes, (Bytes{255, 0}));
  const Blockwise zeros = round_trip(Floats{0.0f, -0.0f, 1e-40f}, 4, map);
  EXPECT_EQ(zeros.codes, (Bytes{0, 0, 0}));
  EXPECT_EQ(bits_of(zeros.restored[0]), 0x80000000u);  // -0.993 * 0
  EXPECT_EQ(round_trip(Floats{nan, 1.0f, 0.0f}, 4, map).codes, (Bytes{0, 255, 127}));
  EXPECT_EQ(round_trip(Floats{infinity, 1.0f}, 4, map).codes, (Bytes{0, 127}));
}

TEST(Blockwise8, EveryBlockHasItsOwnScaleAndTheLastMayBeShort) {
  const DynamicMap map = create_dynamic_map();
  const Floats x = testing::normal_values(1000, 4);
  for (const std::int64_t blocksize : {1, 3, 64, 256, 999, 1000, 4096}) {
    const Blockwise whole = round_trip(x, blocksize, map);
    const auto size = static_cast<std::size_t>(blocksize);
    for (std::size_t b = 0; b * size < x.size(); ++b) {
      const auto block = std::span(x).subspan(b * size, std::min(size, x.size() - b * size));
      const Blockwise alone = round_trip(block, blocksize, map);
      EXPECT_EQ(whole.absmax[b], alone.absmax[0]);
      EXPECT_TRUE(std::equal(alone.codes.begin(), alone.codes.end(),
                             whole.codes.begin() + static_cast<std::ptrdiff_t>(b * size)));
    }
  }
}

TEST(Blockwise8, ErrorIsAtMostHalfTheWidestGap) {
  const DynamicMap map = create_dynamic_map();
  for (const auto& [name, x] : testing::shapes_of_data(1003)) {
    SCOPED_TRACE(name);
    const Blockwise r = round_trip(x, 256, map);
    for (std::size_t i = 0; i < x.size(); ++i) {
      // The widest gap is the decade's last, 0.9/64; below -0.993 lies nothing but half of one.
      EXPECT_LE(std::abs(x[i] - r.restored[i]), r.absmax[i / 256] * (0.9 / 128 + 1e-6));
    }
  }
}

TEST(Blockwise8, RefusesSizesThatDoNotFit) {
  const DynamicMap map = create_dynamic_map();
  const Floats x(10);
  Bytes codes(10);
  Floats absmax(2);
  EXPECT_NO_THROW(quantize_blockwise8(x, map, 5, codes, absmax));
  EXPECT_THROW(quantize_blockwise8(x, map, 4, codes, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_blockwise8(x, map, 0, codes, absmax), std::invalid_argument);
  EXPECT_THROW(quantize_blockwise8(x, std::span(map).first(16), 5, codes, absmax),
               std::invalid_argument);
  Floats nine(9);
  EXPECT_THROW(dequantize_blockwise8(codes, map, absmax, 5, nine), std::invalid_argument);
  EXPECT_NO_THROW(quantize_blockwise8({}, map, 5, {}, {}));
}

}  // namespace
}  // namespace qlora
