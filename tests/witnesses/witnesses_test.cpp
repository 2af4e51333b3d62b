// The witness check must see each of the mistakes that it is there for.
#include "witnesses/witnesses.h"

#include <gtest/gtest.h>

#include "core/files.h"
#include "support/golden.h"

namespace qlora::testing {
namespace {

using Problems = std::vector<std::string>;

// GoogleTest's report of a test, as far as it is read.
std::string report(const std::string& attributes, const std::string& inside = "") {
  return "<testsuites>\n<testcase name=\"B\" " + attributes + ">" + inside +
         "</testcase>\n</testsuites>\n";
}

Outcomes some_outcomes() {
  const std::string folder = scratch().string();
  const auto put = [&](const std::string& test, const std::string& text) {
    write_atomically(folder + "/" + test + ".xml", text);
  };
  put("A.Passed", report("status=\"run\" result=\"completed\""));
  put("A.Failed", report("status=\"run\" result=\"completed\"", "<failure message=\"x\"/>"));
  put("A.Skipped", report("status=\"run\" result=\"skipped\"", "<skipped/>"));
  put("A.Disabled", report("status=\"notrun\" result=\"suppressed\""));
  put("A.Deleted", report("status=\"run\" result=\"completed\""));
  put("A.Empty", "");
  return {{"A.Passed", "A.Failed", "A.Skipped", "A.Disabled", "A.Empty", "A.Never"}, folder};
}

TEST(Outcomes, OnlyATestThatPassedShowsSomething) {
  const Outcomes outcomes = some_outcomes();
  EXPECT_EQ(outcomes.problem_with("A.Passed"), "");
  EXPECT_EQ(outcomes.problem_with("A.Failed"), "the test A.Failed failed");
  EXPECT_EQ(outcomes.problem_with("A.Skipped"), "the test A.Skipped was skipped");
  EXPECT_EQ(outcomes.problem_with("A.Disabled"), "the test A.Disabled was skipped");
  EXPECT_EQ(outcomes.problem_with("A.Deleted"), "there is no test A.Deleted");
  EXPECT_EQ(outcomes.problem_with("A.Empty"), "the test A.Empty has not run");
  EXPECT_EQ(outcomes.problem_with("A.Never"), "the test A.Never has not run");
  EXPECT_EQ(outcomes.problem_with(""), "there is no test ");
}

ChapterClaims chapter(const std::string& numbers, const std::string& results) {
  return {"01_one", Json::parse(numbers, "numbers"), Json::parse(results, "results"),
          "seeds, ranks: the runs behind the tables"};
}

constexpr const char* kTwo = R"([{"id": "A-01"}, {"id": "A-02"}])";

TEST(Claims, EachNeedsOneValueThatIsNotEmpty) {
  const Outcomes outcomes = some_outcomes();
  EXPECT_EQ(problems_with_claims(chapter(kTwo, R"({"claims": [{"id": "A-01", "computed": "255"},
                                             {"id": "A-02", "computed": "test:A.Passed"}]})"),
                                 outcomes),
            Problems{});
  EXPECT_EQ(problems_with_claims(chapter(kTwo, R"({"claims": [{"id": "A-01", "computed": ""},
                                                              {"id": "A-02", "computed": "1"}]})"),
                                 outcomes),
            Problems{"chapter 01_one, A-01: has no computed value"});
  EXPECT_EQ(problems_with_claims(chapter(kTwo, R"({"claims": [{"id": "A-01", "computed": "1"},
                                                              {"id": "A-01", "computed": "1"},
                                                              {"id": "B-01", "computed": "1"}]})"),
                                 outcomes),
            (Problems{"chapter 01_one, A-01: has 2 rows in the results",
                      "chapter 01_one, A-02: has 0 rows in the results",
                      "chapter 01_one, B-01: is not a claim of this chapter"}));
  EXPECT_EQ(problems_with_claims(chapter(kTwo, "{}"), outcomes).size(), 2U);
}

TEST(Claims, WitnessesMustExist) {
  const Outcomes outcomes = some_outcomes();
  const auto problem = [&](const std::string& computed) {
    const Problems problems = problems_with_claims(
        chapter(R"([{"id": "A-01"}])",
                R"({"outliers": {"error": 1}, "claims": [{"id": "A-01", "computed": ")" + computed +
                    "\"}]}"),
        outcomes);
    return problems.empty() ? "" : problems[0];
  };
  EXPECT_EQ(problem("test:A.Skipped"), "chapter 01_one, A-01: the test A.Skipped was skipped");
  EXPECT_EQ(problem("test:A.Nobody"), "chapter 01_one, A-01: there is no test A.Nobody");
  EXPECT_EQ(problem("experiment:outliers"), "");  // the lesson's results have it
  EXPECT_EQ(problem("experiment:ranks"), "");     // the help of the verb names it
  EXPECT_EQ(problem("experiment:rank"), "chapter 01_one, A-01: there is no experiment rank");
  EXPECT_EQ(problem("experiment:.*"), "chapter 01_one, A-01: there is no experiment .*");
}

TEST(Claims, BelongToOneChapter) {
  EXPECT_EQ(problems_with_ids({{"01_one", {"A-01", "A-02"}}, {"02_two", {"B-01"}}}), Problems{});
  EXPECT_EQ(problems_with_ids({{"01_one", {"A-01", "A-02"}}, {"02_two", {"A-02"}}}),
            Problems{"A-02: is a claim of chapter 01_one and of 02_two"});
}

TEST(Claims, RightValuesAreNotReadBySources) {
  EXPECT_EQ(problems_with_source("a.cpp", "// numbers.json has computed_value\nint x;\n"),
            Problems{});
  EXPECT_EQ(problems_with_source("a.cpp", "int x;\nrow.at(\"computed_value\");\n"),
            Problems{"a.cpp:2: reads computed_value, which is the ledger's to read"});
  EXPECT_EQ(problems_with_source("a.cpp", "Json::read(folder + \"/numbers.json\");").size(), 1U);
  EXPECT_EQ(problems_with_source("a.cpp", "x = row[\"computed_num\"];  // right\n").size(), 1U);
}

}  // namespace
}  // namespace qlora::testing
