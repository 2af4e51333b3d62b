#include "quantization/dynamic_map.h"

#include <algorithm>

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "fixtures.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::bits_of;

TEST(DynamicMap, EqualsTorchBitForBit) {
  const auto file = SafetensorsFile::open(testing::golden("int8/dynamic_map.safetensors"));
  const Json json = Json::read(testing::golden("int8/dynamic_map.json"));
  for (const bool is_signed : {true, false}) {
    const std::string name = is_signed ? "signed" : "unsigned";
    SCOPED_TRACE(name);
    const DynamicMap map = create_dynamic_map(is_signed);
    EXPECT_TRUE(testing::same_bytes(Tensor::from<float>(map, {256}), file.tensor(name)));
    for (std::size_t i = 0; i < map.size(); ++i) {
      EXPECT_EQ(double{map[i]}, json.at(name).at(i).as_number()) << i;
    }
  }
}

TEST(DynamicMap, SignedMapIsAMirrorButForItsLastValue) {
  const DynamicMap map = create_dynamic_map();
  EXPECT_TRUE(std::is_sorted(map.begin(), map.end()));
  EXPECT_EQ(bits_of(map[127]), 0u);
  for (std::size_t k = 1; k <= 127; ++k) EXPECT_EQ(map[127 - k], -map[127 + k]) << k;
  EXPECT_EQ(map[255], 1.0f);  // there is no -1
  EXPECT_EQ(bits_of(map[0]), 0x80000000u | 0x3f7e3333u);
  EXPECT_EQ(bits_of(map[128]), 0x3513a3b7u);
}

TEST(DynamicMap, DecadesDoubleTheirValues) {
  for (const bool is_signed : {true, false}) {
    const DynamicMap map = create_dynamic_map(is_signed);
    for (int i = 0; i < 7; ++i) {
      const double low = 0.1 * std::pow(10.0, i - 6);
      const double high = std::pow(10.0, i - 6);
      const auto count = std::count_if(map.begin(), map.end(), [&](float v) {
        return double{v} > low && double{v} < high;  // 1 itself is not in the last decade
      });
      EXPECT_EQ(count, is_signed ? 1 << i : 2 << i) << i;
    }
  }
}

}  // namespace
}  // namespace qlora
