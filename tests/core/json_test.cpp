#include "core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

Json parsed(std::string_view text) {
  return Json::parse(text, "f.json");
}

std::string refusal(std::string_view text) {
  try {
    parsed(text);
  } catch (const BadInput& e) {
    return e.what();
  }
  return "(accepted)";
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const BadInput& e) {
    return e.what();
  }
  return "(accepted)";
}

TEST(JsonParse, ValuesOfEveryKind) {
  const Json v =
      parsed(R"( {"a": [1, -2.5, true, false, null], "b": {"é": "x\n\u00e9\ud83d\ude00"}} )");
  EXPECT_EQ(v.at("a").at(0).as_integer(), 1);
  EXPECT_EQ(v.at("a").at(1).as_number(), -2.5);
  EXPECT_TRUE(v.at("a").at(2).as_bool());
  EXPECT_FALSE(v.at("a").at(3).as_bool());
  EXPECT_TRUE(v.at("a").at(4).is_null());
  EXPECT_EQ(v.at("b").at("é").as_string(), "x\né😀");
  EXPECT_EQ(v.size(), 2u);
}

TEST(JsonParse, KeepsTheOrderOfMembers) {
  const Json v = parsed(R"({"z": 1, "a": 2, "m": 3})");
  EXPECT_EQ(v.as_object()[0].first, "z");
  EXPECT_EQ(v.as_object()[2].first, "m");
}

TEST(JsonParse, NumbersAreWholeOrFloating) {
  EXPECT_TRUE(parsed("9223372036854775807").is_integer());
  EXPECT_EQ(parsed("-9223372036854775808").as_integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_FALSE(parsed("9223372036854775808").is_integer());
  EXPECT_EQ(parsed("9223372036854775808").as_number(), 0x1p63);
  EXPECT_EQ(parsed("18446744073709551615").as_number(), 0x1p64);
  EXPECT_FALSE(parsed("1.0").is_integer());
  EXPECT_TRUE(parsed("3").is_number());
  EXPECT_EQ(parsed("3").as_number(), 3.0);
  EXPECT_EQ(parsed("1e-5").as_number(), 1e-5);
  EXPECT_EQ(parsed("5e-324").as_number(), 5e-324);
  EXPECT_TRUE(std::signbit(parsed("-0.0").as_number()));
}

TEST(JsonParse, ErrorsNameLineAndColumn) {
  EXPECT_EQ(refusal("{\"a\": 1,\n  \"b\": x}"), "f.json: line 2, column 8: not valid JSON");
  EXPECT_EQ(refusal("[1,]"), "f.json: line 1, column 4: not valid JSON");
}

TEST(JsonParse, RefusesWhatIsNotStrictJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "[1",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{a: 1}",
                           "{'a': 1}",
                           "[1 2]",
                           "01",
                           "+1",
                           ".5",
                           "1.",
                           "1e",
                           "0x10",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "nul",
                           "True",
                           "\"a",
                           "\"\\x\"",
                           "\"\t\"",
                           "\"\\ud800\"",
                           "// c\n1",
                           "/* c */ 1",
                           "1 2",
                           "{} x",
                           "[1],",
                           "\"\xff\"",
                           "\"\xc0\xaf\"",
                           "\"\xed\xa0\x80\"",
                           "1e999"}) {
    EXPECT_TRUE(refusal(text).starts_with("f.json: ")) << text << " gives " << refusal(text);
  }
  EXPECT_NE(refusal(std::string_view("1\0", 2)), "(accepted)");
}

TEST(JsonParse, RefusesAKeyThatStandsTwice) {
  EXPECT_EQ(refusal(R"({"a": 1, "b": {"a": 2}, "a": 3})"), "f.json: the key \"a\" stands twice");
  EXPECT_EQ(refusal(R"([{"b": 1}, {"b": 1}])"), "(accepted)");
}

TEST(JsonParse, GoesSixtyFourLevelsDeep) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(refusal(nested(64)), "(accepted)");
  EXPECT_EQ(refusal(nested(65)), "f.json: nested more than 64 levels deep");
  EXPECT_NE(refusal(std::string(1'000'000, '[')), "(accepted)");  // and no stack is overrun
}

TEST(JsonAccess, FailuresNameFileAndPath) {
  const Json v = parsed(R"({"rope_scaling": {"factor": "8"}, "ids": [[1], [2, 3]]})");
  EXPECT_EQ(refusal([&] { v.at("rope_scaling").at("factor").as_number(); }),
            "f.json: rope_scaling.factor: found \"8\", expected a number");
  EXPECT_EQ(refusal([&] { v.at("ids").at(1).at(1).as_string(); }),
            "f.json: ids[1][1]: found 3, expected a string");
  EXPECT_EQ(refusal([&] { v.at("ids").at(2); }),
            "f.json: ids: found [[1], [2, 3]], expected an array of more than 2 items");
  EXPECT_EQ(refusal([&] { v.at("rope_scaling").at("type"); }),
            "f.json: rope_scaling: the member \"type\" is missing");
  EXPECT_EQ(refusal([&] { parsed("2.5").as_integer(); }),
            "f.json: found 2.5, expected a whole number");
  EXPECT_EQ(refusal([&] { parsed("1").as_bool(); }), "f.json: found 1, expected true or false");
  EXPECT_EQ(refusal([&] { parsed("1").as_array(); }), "f.json: found 1, expected an array");
  EXPECT_EQ(refusal([&] { parsed("[]").find("x"); }), "f.json: found [], expected an object");
}

TEST(JsonAccess, FindGivesNullptrForNullAndForNothing) {
  const Json v = parsed(R"({"a": null, "b": 0})");
  EXPECT_EQ(v.find("a"), nullptr);
  EXPECT_EQ(v.find("c"), nullptr);
  ASSERT_NE(v.find("b"), nullptr);
  EXPECT_TRUE(v.at("a").is_null());
}

TEST(JsonBuild, ANullBecomesWhatIsPutIntoIt) {
  Json v;
  v["a"] = 1;
  v["b"].push_back("x");
  v["a"] = true;
  EXPECT_EQ(v.dump(), R"({"a": true, "b": ["x"]})");
  EXPECT_THROW(v.push_back(1), BadInput);
  EXPECT_THROW(v["b"]["c"], BadInput);
}

// The expected texts are those of Python 3's json.dumps(value, …) for the same values.
TEST(JsonDump, IsWhatPythonWrites) {
  const Json v =
      parsed(R"({"b": [1, 2.0, true, null, []], "a": {"é": "ü\u2028😀\"\\\/\b\u0001"}, "c": {}})");
  EXPECT_EQ(v.dump(), R"({"b": [1, 2.0, true, null, []], "a": {"\u00e9": )"
                      R"("\u00fc\u2028\ud83d\ude00\"\\/\b\u0001"}, "c": {}})");
  EXPECT_EQ(parsed(R"({"b": [1, {"z": 2}], "a": []})").dump(2),
            "{\n  \"b\": [\n    1,\n    {\n      \"z\": 2\n    }\n  ],\n  \"a\": []\n}");
  EXPECT_EQ(parsed(R"({"b": {"y": 1, "x": 2}, "a": 3})").dump(-1, true),
            R"({"a": 3, "b": {"x": 2, "y": 1}})");
  EXPECT_EQ(parsed("[1]").dump(0), "[\n1\n]");
  EXPECT_EQ(Json("\x7f").dump(), R"("\u007f")");
}

TEST(JsonDump, NumbersAreThoseOfPythonsRepr) {
  const std::pair<double, const char*> cases[] = {{0.1, "0.1"},
                                                  {1e16, "1e+16"},
                                                  {123456789012345.0, "123456789012345.0"},
                                                  {1e15, "1000000000000000.0"},
                                                  {1e-4, "0.0001"},
                                                  {1e-5, "1e-05"},
                                                  {2e-4, "0.0002"},
                                                  {1e22, "1e+22"},
                                                  {1.5e300, "1.5e+300"},
                                                  {5e-324, "5e-324"},
                                                  {-0.0, "-0.0"},
                                                  {9007199254740993.0, "9007199254740992.0"},
                                                  {2.0 / 3.0, "0.6666666666666666"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(Json(value).dump(), text);
  EXPECT_EQ(Json(std::nan("")).dump(), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()).dump(), "null");
}

TEST(JsonDump, ComesBackTheSame) {
  const std::string text =
      R"({"a": [0.30000000000000004, -1, 1e-310, "\u0000"], "b": {"c": null}})";
  EXPECT_EQ(parsed(text).dump(), text);
  EXPECT_EQ(parsed(parsed(text).dump(3, true)).dump(), text);
}

TEST(JsonRead, NamesTheFileThatIsNotThere) {
  EXPECT_EQ(refusal([] { Json::read("no/such.json"); }), "no/such.json: cannot be opened");
  const std::string folder = testing::scratch();
  EXPECT_TRUE(refusal([&] { Json::read(folder); }).starts_with(folder));
  const std::string path = folder + "/a.json";
  write_atomically(path, "[1]");
  EXPECT_EQ(Json::read(path).at(0).as_integer(), 1);
}

}  // namespace
}  // namespace qlora
