// Chapter 9's claims: they hold for the course's inputs, and follow other inputs; and its plans
// stand beside what was measured.
#include <gtest/gtest.h>

#include "09_memory_footprint/claims.h"
#include "chapters/chapter_claims.h"
#include "core/error.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora::chapter09 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"09_memory_footprint"};

TEST(Chapter09, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter09, FootprintsFollowTheModelAndTheBytes) {
  kClaims.expect_follow({"ME-01", "ME-02", "ME-03", "ME-04", "ME-05", "ME-06", "ME-07", "ME-08",
                         "ME-10", "ME-11", "ME-13", "ME-14", "ME-15", "ME-16"},
                        [](CourseInputs& in) { in.sizes = kLlama32_1b; });
  kClaims.expect_follow({"ME-01", "ME-02", "ME-04", "ME-06", "ME-11", "ME-15"},
                        [](CourseInputs& in) { in.loaded_bytes = 2; });
  kClaims.expect_follow({"ME-03", "ME-05", "ME-07", "ME-10", "ME-13"},
                        [](CourseInputs& in) { in.other_bytes = 4; });
  kClaims.expect_follow({"ME-13"}, [](CourseInputs& in) { in.blocks.double_quant = false; });
}

TEST(Chapter09, AdaptersAndTheCardFollowTheirs) {
  kClaims.expect_follow({"ME-07", "ME-08", "ME-13", "ME-16"},
                        [](CourseInputs& in) { in.rank = 16; });
  kClaims.expect_follow({"ME-07", "ME-08", "ME-16"},
                        [](CourseInputs& in) { in.adapter_bytes = 2; });
  kClaims.expect_follow({"ME-13", "ME-14"}, [](CourseInputs& in) { in.trained_bytes = 10; });
  kClaims.expect_follow({"ME-12"}, [](CourseInputs& in) { in.card_mebibytes = 24576; });
}

TEST(Chapter09, AWrongInputFails) {
  CourseInputs inputs;
  inputs.loaded_bytes = 2;
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

// What PyTorch's allocator held on the reference's GPU, which keeps up to 1 MiB a tensor that it
// does not use: a few in a hundred more than the tensors.
TEST(Chapter09, ResidentBytesAreNearWhatWasAllocated) {
  const Json model = Json::read(testing::golden("memory/memory.json")).at("models").at("3b");
  const auto expect = [&](const char* key, const Footprint& f) {
    const double allocated = model.at(key).at("cuda_allocated").as_number();
    EXPECT_LE(static_cast<double>(f.reported + f.scales), allocated) << key;
    EXPECT_TRUE(testing::is_close(static_cast<double>(f.reported + f.scales), allocated, 0, 0.02))
        << key;
  };
  expect("nf4_bfloat16", nf4_footprint(kLlama32_3b, {64, false, 256}, 2));
  expect("nf4dq_bfloat16", nf4_footprint(kLlama32_3b, {64, true, 256}, 2));
  expect("int8_bfloat16", int8_footprint(kLlama32_3b, 2));
}

// The lesson itself: planned beside measured, on an H100 and here.
TEST(Chapter09, PlansAreNearWhatWasMeasured) {
  const std::string json = (testing::scratch() / "lesson.json").string();
  const testing::Ended ended = testing::run_process(
      {QLORA_BIN "/ch09_memory_footprint", "--json", json}, testing::scratch().string(), 60);
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json lesson = Json::read(json);
  ASSERT_EQ(lesson.at("arenas").size(), 3u);
  for (const Json& row : lesson.at("arenas").as_array()) {
    EXPECT_EQ(row.at("planned").as_integer(), row.at("measured").as_integer()) << row.dump();
  }
  ASSERT_GE(lesson.at("measured").size(), 8u);
  for (const Json& run : lesson.at("measured").as_array()) {
    // Published to a tenth of a GiB; cuDNN's scratch, of which the plan does not know, is 0.4.
    EXPECT_TRUE(
        testing::is_close(run.at("planned").as_number(), run.at("measured").as_number(), 0.45))
        << run.dump();
  }
}

}  // namespace
}  // namespace qlora::chapter09
