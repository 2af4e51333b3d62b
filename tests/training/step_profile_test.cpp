// The profile of a run from steps whose parts are given.
#include "training/step_profile.h"

#include <gtest/gtest.h>

namespace qlora {
namespace {

using ops::Part;

StepReport step_of(double seconds, std::int64_t tokens, std::vector<ops::PartTime> parts) {
  StepReport step;
  step.seconds = seconds;
  step.tokens = tokens;
  step.parts = std::move(parts);
  return step;
}

// Three steps that do not count, then two; all numbers below are exact in binary.
StepProfile profile() {
  StepProfile p;
  for (int i = 0; i < 3; ++i) p.add(step_of(64, 1, {{Part::optimizer, 64}}));
  p.add(step_of(1.5, 100, {{Part::products, 1.0}, {Part::copies, 0.25}}));
  p.add(step_of(2.5, 300, {{Part::products, 1.0}, {Part::lora, 0.5}, {Part::copies, 0.25}}));
  return p;
}

TEST(StepProfile, IsTheMeanOfTheStepsThatCount) {
  const std::vector<ProfileRow> rows = profile().rows(std::nullopt);
  ASSERT_EQ(rows.size(), 5u);
  const std::vector<std::pair<std::string, double>> expected{
      {"products", 1.0}, {"LoRA", 0.25}, {"copies, zeros", 0.25}, {"gaps", 0.5}, {"step", 2.0}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].name, expected[i].first);
    EXPECT_EQ(rows[i].seconds, expected[i].second) << rows[i].name;
    EXPECT_EQ(rows[i].share, expected[i].second / 2) << rows[i].name;
    EXPECT_FALSE(rows[i].floor) << rows[i].name;
  }
}

// 50 tokens take 2 + 4 FLOPs of products, 1 byte of LoRA and 1 byte of AdamW; the mean step has
// four times the tokens.
TEST(StepProfile, HasTheFloorOfEachPartForTheStepsTokens) {
  const ProfileFloor floor{{{"forward", Part::products, Bound::products, 2},
                            {"backward", Part::products, Bound::products, 4},
                            {"adapters", Part::lora, Bound::bytes, 1},
                            {"AdamW", Part::optimizer, Bound::bytes, 1}},
                           {32, 1, 1, 16},
                           50};
  const std::vector<ProfileRow> rows = profile().rows(floor);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].floor, 4 * 6.0 / 32);
  EXPECT_EQ(rows[1].floor, 4 * 1.0 / 16);
  EXPECT_FALSE(rows[2].floor) << "copies have none";
  EXPECT_FALSE(rows[3].floor) << "gaps have none";
  EXPECT_EQ(rows[4].floor, 4 * (6.0 / 32 + 2.0 / 16)) << "all parts, the optimizer's too";
  const Json json = to_json(rows);
  ASSERT_EQ(json.as_array().size(), 5u);
  EXPECT_EQ(json.as_array()[0].at("part").as_string(), "products");
  EXPECT_EQ(json.as_array()[0].at("seconds").as_number(), 1.0);
  EXPECT_EQ(json.as_array()[0].at("share").as_number(), 0.5);
  EXPECT_EQ(json.as_array()[0].at("floor_seconds").as_number(), 0.75);
  EXPECT_EQ(json.as_array()[3].find("floor_seconds"), nullptr);
}

TEST(StepProfile, IsEmptyWhereNoStepThatCountsHasParts) {
  StepProfile p;
  EXPECT_TRUE(p.rows(std::nullopt).empty());
  for (int i = 0; i < 9; ++i) p.add(step_of(1, 1, {}));
  EXPECT_TRUE(p.rows(std::nullopt).empty());
}

}  // namespace
}  // namespace qlora
