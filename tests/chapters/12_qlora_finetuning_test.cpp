// Chapter 12's claims: they hold for the course's inputs, and follow other inputs.
#include "12_qlora_finetuning/claims.h"

#include <gtest/gtest.h>

#include "chapters/chapter_claims.h"
#include "core/error.h"

namespace qlora::chapter12 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"12_qlora_finetuning"};

TEST(Chapter12, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter12, ConfigurationsFollowTheirInputs) {
  kClaims.expect_follow({"QL-02"}, [](CourseInputs& in) {
    in.quantization = R"({"quant_method": "bitsandbytes", "load_in_4bit": true})";
  });
  kClaims.expect_follow({"QL-03"}, [](CourseInputs& in) { in.basic.lora.lora_alpha = 16; });
  kClaims.expect_follow({"QL-05", "QL-06", "QL-27"},
                        [](CourseInputs& in) { in.gemma.base = llama_2_7b(); });
  kClaims.expect_follow({"QL-06", "QL-07"}, [](CourseInputs& in) { in.gemma.lora.r = 16; });
  kClaims.expect_follow({"QL-10", "QL-19"}, [](CourseInputs& in) { in.lite.lora.r = 8; });
  kClaims.expect_follow({"QL-11", "QL-14"}, [](CourseInputs& in) { in.llama2.base = llama_3b(); });
  kClaims.expect_follow({"QL-13"}, [](CourseInputs& in) { in.llama2.lora.lora_alpha = 128; });
  kClaims.expect_follow({"QL-15"}, [](CourseInputs& in) { in.batch_size = 4; });
  kClaims.expect_follow({"QL-15"}, [](CourseInputs& in) { in.samples = 20000; });
}

TEST(Chapter12, NamesFollowTheirInputs) {
  kClaims.expect_follow({"QL-25"}, [](CourseInputs& in) { in.deepseek = in.phi; });
  kClaims.expect_follow({"QL-26"}, [](CourseInputs& in) { in.qwen = in.phi; });
  kClaims.expect_follow({"QL-27"}, [](CourseInputs& in) { in.phi = llama_3b(); });
  kClaims.expect_follow({"QL-29"}, [](CourseInputs& in) { in.releases.pop_back(); });
  kClaims.expect_follow({"QL-32"}, [](CourseInputs& in) { in.papers.pop_back(); });
}

TEST(Chapter12, AWrongInputFails) {
  const auto fails = [](const std::function<void(CourseInputs&)>& change) {
    CourseInputs in;
    change(in);
    EXPECT_THROW(kClaims.ledger(in).check(), Error);
  };
  fails([](CourseInputs& in) { in.lite.lora.r = 256; });            // no longer below one percent
  fails([](CourseInputs& in) { in.deepseek = llama_3b(); });        // not the size in its name
  fails([](CourseInputs& in) { in.papers[0].number = "2305.1"; });  // not of its year
  fails([](CourseInputs& in) { in.releases.clear(); });
}

TEST(Chapter12, SizesOfAConfiguration) {
  const CourseInputs in;
  const ConfigurationSizes basic = sizes_of(in.basic), gemma = sizes_of(in.gemma);
  EXPECT_EQ(basic.trainable, 28 * 16 * (3072 + 3072 + 3072 + 1024));
  EXPECT_EQ(gemma.scaling, 1.0);  // alpha is not given: PEFT's default 8, over r = 8
  // Without double quantization every 64 weights bring along a float32.
  const std::int64_t linear = 18 * (2 * 2048 * 2048 + 2 * 256 * 2048 + 3 * 2048 * 16384);
  EXPECT_EQ(gemma.resident - gemma.footprint, linear / 64 * 4);
  EXPECT_EQ(gemma.footprint, linear / 2 + 2 * (gemma.base - linear));
}

}  // namespace
}  // namespace qlora::chapter12
