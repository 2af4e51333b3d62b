#include "course/ledger.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

Json row(const char* id, const char* kind, const char* course, const char* right,
         const char* verdict) {
  Json r = Json::object();
  r["id"] = id;
  r["kind"] = kind;
  r["claim"] = std::string("what ") + id + " is about";
  r["course_value"] = course;
  r["computed_value"] = right;
  r["verdict"] = verdict;
  r["note"] = "the reason for " + std::string(id);
  r["course_num"] = Json();
  r["computed_num"] = Json();
  r["unit"] = "";
  return r;
}

Json row(const char* id, const char* course, const char* verdict, double course_number,
         double right_number, const char* unit) {
  Json r = row(id, "number", course, "prose", verdict);
  r["course_num"] = course_number;
  r["computed_num"] = right_number;
  r["unit"] = unit;
  return r;
}

// A claim of every kind and verdict.
Json claims() {
  Json rows = Json::array();
  rows.push_back(row("N-1", "255 codes", "REPRODUCES", 255, 255, ""));
  rows.push_back(row("N-2", "a scale of 3.92", "ROUNDS TO", 3.92, 1000.0 / 255.0, ""));
  rows.push_back(row("N-3", "6.5 GB", "APPROXIMATE", 6.5, 6.425499648, "GB"));
  rows.push_back(row("N-4", "8,388,608", "WRONG", 8388608, 4587520, ""));
  rows.push_back(row("S-1", "shape", "(d, r)", "[32, 3072]", "REPRODUCES"));
  rows.push_back(row("C-1", "concept", "-", "-", "REPRODUCES"));
  rows.push_back(row("C-2", "concept", "better", "-", "NOT CHECKABLE OFFLINE"));
  rows.push_back(row("T-1", "typo", "unit8", "uint8", "WRONG"));
  return rows;
}

Ledger ledger_of(const Json& rows) {
  const std::string path = testing::scratch() / "numbers.json";
  write_atomically(path, rows.dump());
  return Ledger(path);
}

struct Values {
  double n1 = 255, n2 = 1000.0 / 255.0, n3 = 6.425499648, n4 = 4587520;
  std::string shape = "[32, 3072]";
};

Ledger filled(const Values& v = {}) {
  Ledger ledger = ledger_of(claims());
  ledger.number("N-1", v.n1);
  ledger.number("N-2", v.n2);
  ledger.number("N-3", v.n3);
  ledger.number("N-4", v.n4);
  ledger.text("S-1", v.shape);
  ledger.test("C-1", "Suite.Name");
  ledger.not_checkable("C-2", "It takes a real checkpoint.", "./course run 8 inspect --model DIR");
  ledger.experiment("T-1", "spelling");
  return ledger;
}

std::string failure(const Ledger& ledger) {
  try {
    ledger.check();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::check_failed);
    return e.what();
  }
  return "";
}

TEST(Ledger, PassesWhereEveryValueIsRight) {
  EXPECT_EQ(failure(filled()), "");
}

TEST(Ledger, FailsOnAWrongNumber) {
  EXPECT_EQ(failure(filled({.n1 = 256})), "1 of 8 claims failed: N-1: computed 256, right is 255");
  EXPECT_NE(failure(filled({.n4 = 8388608})), "");  // the course's number is the wrong one
  EXPECT_NE(failure(filled({.n3 = 6.5})), "");
  EXPECT_NE(failure(filled({.n2 = 3.92})), "");
}

TEST(Ledger, FailsOnNumbersThatAreNone) {
  EXPECT_NE(failure(filled({.n1 = std::numeric_limits<double>::quiet_NaN()})), "");
  EXPECT_NE(failure(filled({.n1 = std::numeric_limits<double>::infinity()})), "");
}

TEST(Ledger, FailsOnAnotherText) {
  EXPECT_EQ(failure(filled({.shape = "[3072, 32]"})),
            "1 of 8 claims failed: S-1: computed '[3072, 32]', right is '[32, 3072]'");
}

TEST(Ledger, FailsOnAClaimWithoutAValue) {
  Ledger ledger = ledger_of(claims());
  const std::string line = failure(ledger);
  EXPECT_NE(line.find("8 of 8 claims failed: N-1 got no computed value"), std::string::npos)
      << line;
  const Json rows = ledger.json();
  for (const Json& r : rows.as_array()) {
    EXPECT_EQ(r.at("verdict").as_string(), "NO VALUE");
    EXPECT_EQ(r.at("computed").as_string(), "");
  }
}

TEST(Ledger, FailsOnAnEmptyText) {
  Json rows = Json::array();
  rows.push_back(row("S-1", "shape", "x", "", "REPRODUCES"));
  Ledger ledger = ledger_of(rows);
  ledger.text("S-1", "");
  EXPECT_NE(failure(ledger).find("is empty"), std::string::npos);
}

// One claim, one number: what the verdict says must be true of it.
std::string failure_of(const char* course, const char* verdict, double course_number,
                       double right_number, double computed, double tolerance = 0.0) {
  Json rows = Json::array();
  rows.push_back(row("N", course, verdict, course_number, right_number, ""));
  Ledger ledger = ledger_of(rows);
  ledger.number("N", computed, tolerance);
  return failure(ledger);
}

TEST(LedgerVerdict, ReproducesMeansTheCoursesNumber) {
  EXPECT_EQ(failure_of("12.5 %", "REPRODUCES", 12.5, 12.5, 12.5 * (1 + 1e-12)), "");
  EXPECT_NE(failure_of("12.5 %", "REPRODUCES", 12.5, 12.51, 12.51), "");
  EXPECT_NE(failure_of("12.5 %", "REPRODUCES", 12.5, 12.5, 12.5 * (1 + 1e-8)), "");
}

TEST(LedgerVerdict, RoundsToMeansTheDigitsThatAreThere) {
  EXPECT_EQ(failure_of("12.9 GB (13 in all)", "ROUNDS TO", 12.9, 12.851, 12.851), "");
  EXPECT_EQ(failure_of("13 GB", "ROUNDS TO", 13, 12.851, 12.851), "");
  EXPECT_EQ(failure_of("2.20 GB", "ROUNDS TO", 2.2, 2.198, 2.198), "");
  EXPECT_NE(failure_of("2.20 GB", "ROUNDS TO", 2.2, 2.19, 2.19), "");  // 2.2 has a digit less
  EXPECT_NE(failure_of("12.8 GB", "ROUNDS TO", 12.8, 12.851, 12.851), "");
  EXPECT_EQ(failure_of("8,388,608", "ROUNDS TO", 8388608, 8388608.4, 8388608.4), "");
}

TEST(LedgerVerdict, WrongMeansThatItDoesNotRoundToIt) {
  EXPECT_EQ(failure_of("0.28 %", "WRONG", 0.28, 0.1426, 0.1426), "");
  EXPECT_NE(failure_of("0.28 %", "WRONG", 0.28, 0.2788, 0.2788), "");
}

TEST(LedgerVerdict, AToleranceIsForRightValuesThatAreRounded) {
  EXPECT_NE(failure_of("0.28 %", "WRONG", 0.28, 0.1426, 0.142591), "");
  EXPECT_EQ(failure_of("0.28 %", "WRONG", 0.28, 0.1426, 0.142591, 5e-5), "");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(failure_of("0.28 %", "WRONG", 0.28, 0.1426, nan, 1e9), "");
}

TEST(Ledger, ACheckOfTheProgramsOwnMustHold) {
  Json rows = Json::array();
  rows.push_back(row("S-1", "shape", "x", "prose", "APPROXIMATE"));
  Ledger holds = ledger_of(rows);
  holds.checked("S-1", "[2, 3]", true);
  EXPECT_EQ(failure(holds), "");
  Ledger fails = ledger_of(rows);
  fails.checked("S-1", "[3, 2]", false);
  EXPECT_NE(failure(fails).find("'[3, 2]' does not show: prose"), std::string::npos);
}

TEST(Ledger, MistakesOfTheProgramAreRefused) {
  Ledger ledger = filled();
  EXPECT_THROW(ledger.number("N-1", 255), std::invalid_argument);  // a second value
  EXPECT_THROW(ledger.number("N-9", 255), std::invalid_argument);  // no such claim
  Ledger empty = ledger_of(claims());
  EXPECT_THROW(empty.number("S-1", 1), std::invalid_argument);                // has no right number
  EXPECT_THROW(empty.not_checkable("N-1", "x", "y"), std::invalid_argument);  // can be checked
  EXPECT_THROW(empty.not_checkable("T-1", "x", "y"), std::invalid_argument);  // and is wrong
  EXPECT_THROW(empty.not_checkable("C-2", "", "y"), std::invalid_argument);
  EXPECT_THROW(empty.not_checkable("C-2", "x", ""), std::invalid_argument);
  EXPECT_THROW(filled().not_checkable("C-2", "x", "y"), std::invalid_argument);  // a second reason
  EXPECT_THROW(empty.test("N-1", "Suite.Name"), std::invalid_argument);          // must be computed
  EXPECT_THROW(empty.experiment("S-1", "x"), std::invalid_argument);
}

// A value beside the reason stays: an experiment that stands in, or a part of the claim.
TEST(Ledger, WhatCannotBeCheckedSaysWhyAndWhatChecksIt) {
  Json rows = Json::array();
  rows.push_back(row("C-2", "concept", "better", "-", "NOT CHECKABLE OFFLINE"));
  Ledger ledger = ledger_of(rows);
  ledger.experiment("C-2", "spelling");
  EXPECT_NE(failure(ledger).find("C-2 does not say why it cannot be checked"), std::string::npos);
  ledger.not_checkable("C-2", "x", "y");
  EXPECT_EQ(failure(ledger), "");
  EXPECT_EQ(ledger.json().at(0).dump(),
            R"({"id": "C-2", "course": "better", "computed": "experiment:spelling", )"
            R"("verdict": "NOT CHECKABLE OFFLINE", "reason": "x", "check_with": "y"})");
  Ledger left = ledger_of(claims());  // the course is right: so somebody else's programs say
  left.not_checkable("C-1", "Python decides.", "python3 -c 'import torch'");
  EXPECT_EQ(left.json().at(5).at("verdict").as_string(), "NOT CHECKABLE OFFLINE");
}

TEST(Ledger, RowsOfTheJsonHoldWhatWasComputed) {
  const Json rows = filled({.n1 = 256}).json();
  ASSERT_EQ(rows.size(), 8u);
  EXPECT_EQ(rows.at(0).dump(),
            R"({"id": "N-1", "course": "255 codes", "computed": "256", "value": 256.0, )"
            R"("unit": "", "verdict": "FAILED"})");
  EXPECT_EQ(rows.at(3).at("verdict").as_string(), "WRONG");
  EXPECT_EQ(rows.at(1).at("computed").as_string(), "3.9215686274509802");
  EXPECT_EQ(rows.at(4).at("course").as_string(), "(d, r)");
  EXPECT_EQ(rows.at(4).at("computed").as_string(), "[32, 3072]");
  EXPECT_EQ(rows.at(5).at("computed").as_string(), "test:Suite.Name");
  EXPECT_EQ(rows.at(0).find("reason"), nullptr);
  EXPECT_EQ(rows.at(6).at("computed").as_string(), "not checkable offline");
  EXPECT_EQ(rows.at(7).at("computed").as_string(), "experiment:spelling");
}

std::string printed(const Ledger& ledger, bool all_claims) {
  const std::string path = testing::scratch() / "out";
  std::FILE* out = std::fopen(path.c_str(), "w");
  if (out == nullptr) throw std::runtime_error("no scratch file");
  ledger.print(all_claims, out);
  std::fclose(out);
  return read_file(path);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(LedgerPrint, CompactShowsNumbersAndWhatIsWrong) {
  const std::string out = printed(filled(), false);
  for (const char* part : {"N-1", "3.92157", "6.4255 GB", "4,587,520", "[32, 3072]", "T-1"}) {
    EXPECT_TRUE(has(out, part)) << part << "\n" << out;
  }
  EXPECT_FALSE(has(out, "C-1"));
  EXPECT_TRUE(has(out, "wrong. Right: prose. the reason for N-4")) << out;
  EXPECT_TRUE(has(out,
                  "8 claims: 3 reproduces, 1 rounds to, 1 approximate, 2 wrong, 1 not checkable "
                  "offline; --all-claims\nshows the other 2"))
      << out;
}

TEST(LedgerPrint, AllClaimsShowsEveryRow) {
  const std::string out = printed(filled(), true);
  EXPECT_TRUE(has(out, "test:Suite.Name"));
  EXPECT_TRUE(has(out,
                  "C-2  not checkable offline. It takes a real checkpoint.\n"
                  "     Check with: ./course run 8 inspect --model DIR\n"))
      << out;
  EXPECT_FALSE(has(out, "--all-claims"));
}

TEST(LedgerPrint, ClaimsWithATableOfTheirOwnAreLeftOutUnlessTheyFail) {
  Ledger good = filled();
  good.has_own_table("N-");
  EXPECT_FALSE(has(printed(good, false), "N-1"));
  EXPECT_TRUE(has(printed(good, true), "N-1"));
  Ledger bad = filled({.n1 = 256});
  bad.has_own_table("N-");
  EXPECT_TRUE(has(printed(bad, false), "FAILED: computed 256, right is 255"));
}

TEST(Ledger, CorrectionsAreTheClaimsThatAreWrong) {
  Table table({"id", "about", "course", "here", "why"});
  ledger_of(claims()).add_corrections(table);
  const std::string text = table.markdown();
  EXPECT_NE(text.find("| N-4 | what N-4 is about | 8,388,608 |"), std::string::npos) << text;
  EXPECT_NE(text.find("| T-1 | what T-1 is about | unit8 |"), std::string::npos) << text;
  EXPECT_NE(text.find("uint8. the reason for T-1 |"), std::string::npos) << text;
  EXPECT_EQ(text.find("N-1"), std::string::npos) << text;
  EXPECT_EQ(text.find("N-3"), std::string::npos) << text;
}

TEST(Ledger, AFileThatIsNoListOfClaimsIsBadInput) {
  const auto refused = [](const Json& rows) {
    EXPECT_THROW(ledger_of(rows), BadInput) << rows.dump();
  };
  refused(Json::object());
  Json missing = Json::array();
  missing.push_back(Json::object());
  refused(missing);
  Json twice = claims();
  twice.push_back(claims().at(0));
  refused(twice);
  Json unknown = Json::array();
  unknown.push_back(row("N", "number", "1", "1", "MAYBE"));
  refused(unknown);
  EXPECT_THROW(Ledger("no-such-file.json"), BadInput);
}

}  // namespace
}  // namespace qlora
