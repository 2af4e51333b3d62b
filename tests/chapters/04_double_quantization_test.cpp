// Chapter 4: each computed claim depends on its inputs, and what the concept rows name.
#include <gtest/gtest.h>

#include <functional>

#include "04_double_quantization/claims.h"
#include "chapters/chapter_claims.h"
#include "core/random.h"
#include "quantization/quantized_tensor.h"
#include "support/matcher.h"

namespace qlora::chapter04 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"04_double_quantization"};

TEST(Chapter04, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
  EXPECT_EQ(ledger.json().size(), 6u);
}

TEST(Chapter04, EachComputedValueComesFromTheInputs) {
  struct Change {
    const char* id;
    std::function<void(CourseInputs&)> change;
  };
  const Change changes[]{
      {"DQ-01", [](CourseInputs& in) { in.sizes.nested_blocksize = 128; }},
      {"DQ-01", [](CourseInputs& in) { in.sizes.blocksize = 128; }},
      {"DQ-02", [](CourseInputs& in) { in.llama.layers = 27; }},
      {"DQ-03", [](CourseInputs& in) { in.sizes.blocksize = 128; }},
      {"DQ-06", [](CourseInputs& in) { in.llama = kLlama32_1b; }},
  };
  for (const Change& c : changes) kClaims.expect_follow({c.id}, c.change);
}

TEST(Chapter04, OtherBlockSizesFailTheClaims) {
  CourseInputs in;
  in.sizes.blocksize = 128;
  EXPECT_THROW(kClaims.ledger(in).check(), Error);
}

TEST(Chapter04, FiguresOfTheCoursesModel) {
  const Resident r = resident(kLlama32_3b, {64, true, 256});
  EXPECT_EQ(r.plain.constants(), 176160768);
  EXPECT_EQ(r.nested.constants(), 44040192 + 688128);
  EXPECT_EQ(r.nested.nested_blocks, 172032);
  EXPECT_EQ(r.total(), 2197641216 + 176160768);
}

TEST(Chapter04, TheWeightsAreQuantizedOnce) {
  Tensor x = Tensor::empty(DType::f32, {96, 200});
  const Random random{4, 0};
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  const QuantizedTensor once = quantize_4bit(x, QuantType::nf4, 64, false);
  const QuantizedTensor nested = quantize_4bit(x, QuantType::nf4, 64, true);
  EXPECT_TRUE(testing::same_bytes(once.packed, nested.packed));  // the codes of the weights
  EXPECT_EQ(once.absmax.dtype(), DType::f32);
  EXPECT_EQ(nested.absmax.dtype(), DType::u8);  // the second pass is over these alone
  EXPECT_FALSE(testing::same_bytes(restored_absmax(once), restored_absmax(nested)));
}

}  // namespace
}  // namespace qlora::chapter04
