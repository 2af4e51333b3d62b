#include "evaluation/report.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

using testing::scratch;

Report example() {
  Report report;
  Metrics m;
  m.loss = 2.5;
  m.perplexity = perplexity_of(2.5);
  m.loss_ci95 = {2.4, 2.625};
  m.perplexity_ci95 = {11.0, 13.8};
  m.priced = 600;
  m.mae = 299.04;
  m.hit_rate = 0.125;
  m.no_answer = 3;
  m.mae_ci95 = {250.0, 350.0};
  m.hit_rate_ci95 = {0.1, 0.15};
  report.base = m;
  m.mae = 25.0;
  report.tuned = m;
  report.comparison = {{-1.5, {-1.75, -1.25}, 0.875, 0.0},
                       Difference{-274.0, {-320.0, -230.0}, 0.75, 0.125}};
  m.loss.reset();
  m.perplexity.reset();
  report.median_predictor = m;
  report.items = 600;
  report.spoken = {
      {"How much does this cost to the nearest dollar?\n\nA | red *hat*.\n\nPrice is $", 12.0,
       "no\nidea", "11"}};
  report.seconds = 1.5;
  report.tokens = 1000;
  report.tokens_per_second = 666.7;
  report.seed = 42;
  report.commit = "abc";
  report.build_type = "Release";
  report.device = "a processor";
  report.threads = 2;
  report.base_format = "nf4";
  report.command = "evaluate --model DIR";
  return report;
}

TEST(ReportJson, HasTheFieldsByName) {
  const Json json = Json::parse(report_json(example()).dump(2), "report.json");
  for (const char* name : {"base",
                           "tuned",
                           "median_predictor",
                           "mean_predictor",
                           "category_mean",
                           "nearest_neighbour",
                           "noise_floor",
                           "comparison",
                           "no_prices",
                           "items",
                           "seconds",
                           "tokens",
                           "tokens_per_second",
                           "seed",
                           "commit",
                           "build_type",
                           "device",
                           "threads",
                           "base_format",
                           "command",
                           "spoken"}) {
    bool there = false;
    for (const auto& [key, value] : json.as_object()) there = there || key == name;
    EXPECT_TRUE(there) << name;
  }
  const Json& base = json.at("base");
  EXPECT_EQ(base.at("loss").as_number(), 2.5);
  EXPECT_EQ(base.at("perplexity").as_number(), perplexity_of(2.5));
  EXPECT_EQ(base.at("loss_ci95").at(std::size_t{1}).as_number(), 2.625);
  EXPECT_EQ(base.at("perplexity_ci95").at(std::size_t{0}).as_number(), 11.0);
  EXPECT_EQ(base.at("mae").as_number(), 299.04);
  EXPECT_EQ(base.at("hit_rate").as_number(), 0.125);
  EXPECT_EQ(base.at("no_answer").as_integer(), 3);
  EXPECT_EQ(base.at("mae_ci95").at(std::size_t{0}).as_number(), 250.0);
  EXPECT_EQ(base.at("hit_rate_ci95").at(std::size_t{1}).as_number(), 0.15);
  EXPECT_EQ(json.find("category_mean"), nullptr);  // null
  EXPECT_EQ(json.at("median_predictor").find("loss"), nullptr);
  const Json& comparison = json.at("comparison");
  EXPECT_EQ(comparison.at("loss_difference").as_number(), -1.5);
  EXPECT_EQ(comparison.at("loss_difference_ci95").at(std::size_t{1}).as_number(), -1.25);
  EXPECT_EQ(comparison.at("loss_lower").as_number(), 0.875);
  EXPECT_EQ(comparison.at("mae_difference").as_number(), -274.0);
  EXPECT_EQ(comparison.at("mae_difference_ci95").at(std::size_t{0}).as_number(), -320.0);
  EXPECT_EQ(comparison.at("closer").as_number(), 0.75);
  EXPECT_EQ(comparison.at("equally_close").as_number(), 0.125);
  EXPECT_EQ(json.find("no_prices"), nullptr);
  EXPECT_EQ(json.find("adapters"), nullptr);
  EXPECT_EQ(json.at("seed").as_integer(), 42);
  EXPECT_EQ(json.at("spoken").at(std::size_t{0}).at("tuned").as_string(), "11");
}

TEST(ReportJson, RandomBaseIsThereOnlyWhereMeasured) {
  Report report = example();
  EXPECT_EQ(report_json(report).dump().find("random_base"), std::string::npos);
  report.random_base = report.tuned;
  EXPECT_EQ(report_json(report).at("random_base").at("mae").as_number(), 25.0);
}

// A report of rows without prices, and of two adapters.
Report without_prices() {
  Report report = example();
  report.median_predictor.reset();
  report.no_prices = "row 3 is no prompt";
  for (auto* metrics : {&report.base, &report.tuned}) {
    Metrics m = metrics->value_or(Metrics{});
    m.priced = 0;
    *metrics = m;
  }
  Comparison comparison = report.comparison.value_or(Comparison{});
  comparison.mae.reset();
  report.comparison = comparison;
  for (const char* folder : {"one", "t|wo"}) {
    report.adapters.push_back({folder, report.tuned.value_or(Metrics{}), comparison});
  }
  report.spoken = {{"What?", 0.0, "b", "t", "the answer"}};
  return report;
}

TEST(ReportJson, WithoutPricesDollarsAreNull) {
  const Json json = Json::parse(report_json(without_prices()).dump(2), "report.json");
  EXPECT_EQ(json.at("no_prices").as_string(), "row 3 is no prompt");
  const Json& base = json.at("base");
  EXPECT_EQ(base.at("loss").as_number(), 2.5);
  std::size_t nulls = 0;
  for (const auto& [name, value] : base.as_object()) nulls += value.is_null() ? 1 : 0;
  EXPECT_EQ(nulls, 5u);
  for (const char* name : {"mae", "hit_rate", "no_answer", "mae_ci95", "hit_rate_ci95"}) {
    EXPECT_EQ(base.find(name), nullptr) << name;
  }
  EXPECT_EQ(json.at("comparison").at("loss_lower").as_number(), 0.875);
  EXPECT_EQ(json.at("comparison").find("closer"), nullptr);
  const Json& spoken = json.at("spoken").at(std::size_t{0});
  EXPECT_EQ(spoken.find("price"), nullptr);
  EXPECT_EQ(spoken.at("expected").as_string(), "the answer");
}

TEST(ReportJson, EachOfSeveralAdaptersHasItsFigures) {
  const Json json = Json::parse(report_json(without_prices()).dump(2), "report.json");
  ASSERT_EQ(json.at("adapters").size(), 2u);
  const Json& second = json.at("adapters").at(std::size_t{1});
  EXPECT_EQ(second.at("adapter").as_string(), "t|wo");
  EXPECT_EQ(second.at("loss").as_number(), 2.5);
  EXPECT_EQ(second.at("comparison").at("loss_difference").as_number(), -1.5);
}

TEST(ReportMarkdown, WithoutPricesItSaysSo) {
  const std::string text = report_markdown(without_prices());
  for (const char* part :
       {"No errors in dollars and no hits: row 3 is no prompt.", "| | loss | perplexity |\n",
        "| base model | 2.500 (2.400 to 2.625) | 12.18 (11.00 to 13.80) |\n",
        "| base with t\\|wo alone | 2.500",
        "- tuned: loss -1.500 (-1.750 to -1.250), lower on 87.5 %", "- t\\|wo alone: loss -1.500",
        "| What? | the answer | b | t |\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("dollars ("), std::string::npos) << text;
}

TEST(ReportJson, WhatIsNotFiniteIsNull) {
  Report report = example();
  Metrics base;
  base.loss = std::numeric_limits<double>::quiet_NaN();
  base.perplexity = perplexity_of(1e6);
  report.base = base;
  const Json json = Json::parse(report_json(report).dump(2), "report.json");
  EXPECT_EQ(json.at("base").find("loss"), nullptr);
  EXPECT_EQ(json.at("base").find("perplexity"), nullptr);
  EXPECT_NE(report_markdown(report).find("| base model | NaN | infinite |"), std::string::npos);
}

TEST(ReportMarkdown, TablesReadWell) {
  const std::string text = report_markdown(example());
  EXPECT_NE(text.find("| base model | 2.500 (2.400 to 2.625) | 12.18 (11.00 to 13.80) | "
                      "299.0 (250.0 to 350.0) | 12.5 (10.0 to 15.0) | 3 |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| always the median |  |  | 25.0 ("), std::string::npos) << text;
  EXPECT_NE(
      text.find("error in dollars -274.0 (-320.0 to -230.0), closer to the price on 75.0 % of "
                "the items, equally close on 12.5 %."),
      std::string::npos)
      << text;
  EXPECT_EQ(text.find("mean of the category"), std::string::npos);
  // The question is left out, and what would break the table is escaped.
  EXPECT_NE(text.find("| A \\| red \\*hat\\*. | 12 | no idea | 11 |"), std::string::npos) << text;
  EXPECT_NE(text.find("evaluate --model DIR"), std::string::npos);
  EXPECT_NE(text.find("600 test items"), std::string::npos);
}

TEST(ReportMarkdown, AnItemOfAnotherFormIsShownWhole) {
  Report report = example();
  report.spoken[0].prompt = "What is it?";
  EXPECT_NE(report_markdown(report).find("| What is it? | 12 |"), std::string::npos);
  report.spoken.clear();
  EXPECT_EQ(report_markdown(report).find("read aloud"), std::string::npos);
}

TEST(WriteReport, WritesBothFiles) {
  write_report(example(), scratch().string());
  const std::string json = (scratch() / "report.json").string();
  EXPECT_EQ(Json::read(json).at("tuned").at("mae").as_number(), 25.0);
  EXPECT_EQ(read_file((scratch() / "report.md").string()), report_markdown(example()));
  EXPECT_THROW(write_report(example(), (scratch() / "not" / "there").string()), BadInput);
}

}  // namespace
}  // namespace qlora
