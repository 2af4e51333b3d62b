// Chapter 2: each computed claim depends on its inputs.
#include <gtest/gtest.h>

#include <functional>

#include "02_number_formats_and_int8/claims.h"
#include "02_number_formats_and_int8/outliers.h"
#include "chapters/chapter_claims.h"
#include "llama/load.h"
#include "support/golden.h"

namespace qlora::chapter02 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"02_number_formats_and_int8"};

TEST(Int8Claims, AllHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
  EXPECT_EQ(ledger.json().size(), 28u);
}

TEST(Int8Claims, EachComputedValueComesFromTheInputs) {
  struct Change {
    std::vector<std::string> ids;
    std::function<void(CourseInputs&)> change;
  };
  const Change changes[]{
      {{"FMT-03", "FMT-04", "FMT-05", "FMT-06", "FMT-11", "FMT-18", "FMT-27", "FMT-28"},
       [](CourseInputs& in) { in.model = "llama-3.2-1b"; }},
      {{"FMT-13", "FMT-22"}, [](CourseInputs& in) { in.larger = "llama-3.2-3b"; }},
      {{"FMT-12", "FMT-14", "FMT-15"}, [](CourseInputs& in) { in.round_parameters = 7e9; }},
      {{"FMT-03", "FMT-09", "FMT-10", "FMT-12", "FMT-13", "FMT-19", "FMT-22"},
       [](CourseInputs& in) { in.full = 64; }},
      {{"FMT-04", "FMT-28"}, [](CourseInputs& in) { in.half = 8; }},
      {{"FMT-05", "FMT-07", "FMT-14", "FMT-19", "FMT-27"}, [](CourseInputs& in) { in.byte = 4; }},
      {{"FMT-06", "FMT-08", "FMT-10", "FMT-11", "FMT-15", "FMT-19"},
       [](CourseInputs& in) { in.nibble = 2; }},
      {{"FMT-22"}, [](CourseInputs& in) { in.card_gib = 40.0; }},
  };
  for (const Change& c : changes) kClaims.expect_follow(c.ids, c.change);
}

TEST(Int8Claims, WrongInputsFail) {
  CourseInputs in;
  in.byte = 4;
  EXPECT_THROW(kClaims.ledger(in).check(), Error);
  CourseInputs card;
  card.card_gib = 40.0;
  EXPECT_THROW(kClaims.ledger(card).check(), Error);
}

TEST(Int8Claims, LoadedSizesAreThoseOfTheRealLibraries) {
  // get_memory_footprint() without its buffers, some kilobytes of rotary frequencies.
  const Json models = Json::read(testing::golden("memory/memory.json")).at("models");
  for (const auto& [name, key] :
       {std::pair("llama-3.2-1b", "1b"), std::pair("llama-3.2-3b", "3b")}) {
    SCOPED_TRACE(name);
    const LlamaConfig model = named_config(name);
    const Json& golden = models.at(key);
    const auto footprint = [&](const char* run) {
      return golden.at(run).at("without_buffers").as_number();
    };
    EXPECT_EQ(model.parameter_count(), golden.at("parameters").as_integer());
    EXPECT_EQ(nominal_bytes(model, 32), footprint("meta_fp32"));
    EXPECT_EQ(nominal_bytes(model, 16), footprint("none_bfloat16"));
    EXPECT_EQ(loaded_bytes(model, 8), footprint("int8_bfloat16"));
    EXPECT_EQ(loaded_bytes(model, 4), footprint("nf4_bfloat16"));
  }
}

TEST(OutlierColumns, AreWhatLlmInt8SetsAside) {
  const OutlierLayer none(0.0f);
  EXPECT_EQ(none.outlier_columns(kOutlierThreshold), 0u);
  EXPECT_EQ(none.error(0.0f), none.error(kOutlierThreshold));
  const OutlierLayer large(60.0f);
  EXPECT_EQ(large.outlier_columns(kOutlierThreshold), 3u);
  EXPECT_LT(large.error(kOutlierThreshold), 0.5 * large.error(0.0f));
}

}  // namespace
}  // namespace qlora::chapter02
