// Chapter 6's claims: they hold for the course's inputs, and follow other inputs.
#include <gtest/gtest.h>

#include <functional>

#include "06_counting_lora_parameters/claims.h"
#include "chapters/chapter_claims.h"
#include "core/error.h"

namespace qlora::chapter06 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"06_counting_lora_parameters"};

TEST(Chapter06, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter06, ModesFollowTheirRanks) {
  kClaims.expect_follow({"PC-01", "PC-02", "PC-03", "PC-04", "PC-05", "PC-06", "PC-07", "PC-08",
                         "PC-09", "PC-10", "PC-11", "PC-21", "PC-23"},
                        [](CourseInputs& in) { in.lite_rank = 16; });
  kClaims.expect_follow(
      {"PC-14", "PC-15", "PC-16", "PC-17", "PC-18", "PC-19", "PC-21", "PC-22", "PC-23", "PC-30"},
      [](CourseInputs& in) { in.full_rank = 128; });
  kClaims.expect_follow({"PC-24", "PC-25", "PC-26", "PC-27", "PC-28", "PC-29"},
                        [](CourseInputs& in) { in.printed_rank = 8; });
  kClaims.expect_follow({"PC-11", "PC-19"}, [](CourseInputs& in) { in.alpha_factor = 1.0; });
}

TEST(Chapter06, ModesFollowTheShapes) {
  kClaims.expect_follow({"PC-01", "PC-05", "PC-06", "PC-24"},
                        [](CourseInputs& in) { in.layer[0].N = 4096; });
  kClaims.expect_follow({"PC-02", "PC-29"}, [](CourseInputs& in) { in.layer[1].N = 3072; });
  kClaims.expect_follow({"PC-03", "PC-28"}, [](CourseInputs& in) { in.layer[2].K = 2048; });
  kClaims.expect_follow({"PC-04"}, [](CourseInputs& in) { in.layer[3].K = 2048; });
  kClaims.expect_follow({"PC-14", "PC-17"}, [](CourseInputs& in) { in.layer[4].N = 14336; });
  kClaims.expect_follow({"PC-15", "PC-18"}, [](CourseInputs& in) { in.layer[5].N = 14336; });
  kClaims.expect_follow({"PC-16", "PC-22"}, [](CourseInputs& in) { in.layer[6].K = 14336; });
  kClaims.expect_follow({"PC-06", "PC-12", "PC-17", "PC-20", "PC-24"},
                        [](CourseInputs& in) { in.layers = 16; });
  kClaims.expect_follow({"PC-25", "PC-26", "PC-27", "PC-30"},
                        [](CourseInputs& in) { in.vocabulary = 32000; });
  kClaims.expect_follow({"PC-25"}, [](CourseInputs& in) { in.hidden = 2048; });
  kClaims.expect_follow({"PC-07", "PC-09", "PC-10", "PC-13", "PC-18", "PC-22", "PC-23"},
                        [](CourseInputs& in) { in.adapter_dtype = DType::bf16; });
  kClaims.expect_follow({"PC-23"}, [](CourseInputs& in) { in.half_dtype = DType::f32; });
}

TEST(Chapter06, EveryRowOfTheGpt3TableFollowsItsInputs) {
  std::vector<std::string> rows;
  for (const MethodRow& row : CourseInputs{}.gpt3_rows) rows.emplace_back(row.id);
  ASSERT_EQ(rows.size(), 20u);
  kClaims.expect_follow(rows, [](CourseInputs& in) { in.gpt3.d = 4096; });
  kClaims.expect_follow({"GT-01"}, [](CourseInputs& in) { in.gpt3_vocabulary = 32000; });
  kClaims.expect_follow({"GT-01"}, [](CourseInputs& in) { in.gpt3_positions = 1024; });
  rows.erase(rows.begin());  // fine-tuning has no setting
  kClaims.expect_follow(rows, [](CourseInputs& in) {
    for (MethodRow& row : in.gpt3_rows) row.first += 1;
  });
  // Prefix rows count both kinds of tokens; layers matter to all but PrefixEmbed.
  kClaims.expect_follow(
      {"GT-02", "GT-03", "GT-04", "GT-05", "GT-06", "GT-07", "GT-08", "GT-09", "GT-10", "GT-11"},
      [](CourseInputs& in) {
        for (MethodRow& row : in.gpt3_rows) row.second += 1;
      });
  kClaims.expect_follow({"GT-01", "GT-07", "GT-12", "GT-17", "GT-21"},
                        [](CourseInputs& in) { in.gpt3.L = 48; });
}

TEST(Chapter06, EveryCellOfTheRankTableFollowsItsInputs) {
  std::vector<std::string> cells;
  for (const char* r : {"1", "2", "8", "16", "512"}) {
    for (const char* model : {"7B", "13B", "70B", "180B"}) {
      cells.push_back(std::string("RT-") + r + "-" + model);
    }
  }
  kClaims.expect_follow(cells, [](CourseInputs& in) {
    for (RankColumn& column : in.rank_columns) column.parameters *= 4;
  });
  kClaims.expect_follow({"RT-90"}, [](CourseInputs& in) { in.rank_columns[0].parameters *= 4; });
  kClaims.expect_follow({"RT-00"},
                        [](CourseInputs& in) { in.rank_columns[2].key_value_width = 8192; });
}

TEST(Chapter06, AWrongInputFails) {
  CourseInputs inputs;
  inputs.layers = 32;
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

}  // namespace
}  // namespace qlora::chapter06
