// Whole lessons against a small course: a source, a script, a chapter.
#include "lessons/check.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "lessons/document.h"
#include "support/golden.h"

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScript =
    "#!/bin/sh\n"
    "echo 'usage: ./course run [N [verb]]'\n"
    "echo '       ./course exercise N [--reset]'\n";

constexpr const char* kChapter =
    "#!/bin/sh\n"
    "case \"$*\" in\n"
    "  'quantize --help') echo '--type TYPE, --output FILE' ;;\n"
    "  --help) echo '--json FILE' ;;\n"
    "  '') echo 'scale 3.92'; echo 'took 4 s'; echo '255 steps' ;;\n"
    "  'quantize --output x') echo kept >x ;;\n"
    "  'quantize --type none') echo 'no such type' >&2; exit 2 ;;\n"
    "  quantize) cat x ;;\n"
    "  *) exit 2 ;;\n"
    "esac\n";

constexpr const char* kSource =
    "namespace a {\n"
    "// [scale]\n"
    "float scale(float x) {\n"
    "  // [inner]\n"
    "  return x / 255.0f;\n"
    "  // [/inner]\n"
    "}\n"
    "// [/scale]\n"
    "// [open]\n"
    "}\n";

class Lesson : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = scratch();
    for (const char* folder : {"common/a", "tests", "chapters/01_one", "bin"}) {
      fs::create_directories(root_ / folder);
    }
    put("course", kScript);
    put("bin/ch01_one", kChapter);
    put("common/a/scale.cpp", kSource);
    put("tests/a_test.cpp", "TEST(Scale, IsASteps255th) {}\n");
    for (const char* program : {"course", "bin/ch01_one"}) {
      fs::permissions(root_ / program, fs::perms::owner_all);
    }
  }

  void put(const std::string& file, const std::string& text) {
    write_atomically((root_ / file).string(), text);
  }

  Findings check(const std::string& text) {
    put("chapters/01_one/README.md", text);
    Course course(root_, root_ / "bin", root_ / "work");
    Findings findings = check_lesson(course, "chapters/01_one/README.md");
    fs::remove_all(root_ / "work");
    return findings;
  }

  // The only problem, without the file's name, or "".
  std::string problem(const std::string& text) {
    const Findings findings = check(text);
    if (findings.problems.empty()) return "";
    EXPECT_EQ(findings.problems.size(), 1U) << findings.problems.back();
    return findings.problems[0].substr(std::string("chapters/01_one/README.md:").size());
  }

  fs::path root_;
};

std::string block(const std::string& info, const std::string& text) {
  return "```" + info + "\n" + text + "```\n";
}

TEST_F(Lesson, CodeMustBeThatOfTheSource) {
  const std::string head = "// common/a/scale.cpp: scale\n";
  EXPECT_EQ(problem(block("cpp", head + "float scale(float x) {\n  return x / 255.0f;\n}\n")), "");
  EXPECT_EQ(problem(block("cpp", head + "float scale(float x) {\n  return x / 256.0f;\n}\n")),
            "4: common/a/scale.cpp has:   return x / 255.0f;");
  EXPECT_EQ(problem(block("cpp", head + "float scale(float x) {\n  return x / 255.0f;\n")),
            "5: common/a/scale.cpp has: }");
  EXPECT_EQ(problem("\n" + block("cpp", "// common/a/scale.cpp: inner\n  return x / 255.0f;\n\n")),
            "5: common/a/scale.cpp has: no more lines");
}

TEST_F(Lesson, AMissingSourceOrMarkerIsNamed) {
  EXPECT_EQ(problem(block("cpp", "// common/a/scale.cpp: shift\n")),
            "2: common/a/scale.cpp: shift: there is no such marker");
  EXPECT_EQ(problem(block("cpp", "// common/a/scale.cpp: open\n")),
            "2: common/a/scale.cpp: open: the marker is not closed");
  EXPECT_NE(problem(block("cpp", "// common/a/shift.cpp: shift\n")).find("shift.cpp"),
            std::string::npos);
  EXPECT_EQ(problem(block("cpp", "int x;\n")),
            "1: the block does not begin with the source or the command it comes from");
  EXPECT_NE(problem(block("text", "255 steps\n")), "");
  EXPECT_EQ(problem(block("", "a drawing\n")), "");
}

TEST_F(Lesson, OutputMustBeThatOfTheCommand) {
  const std::string head = "$ ./course run 1\n";
  EXPECT_EQ(problem(block("text", head + "scale 3.92\ntook 9 s\n255 steps\n")), "");
  EXPECT_EQ(problem(block("text", head + "…\n255 steps\n")), "");
  EXPECT_EQ(problem(block("text", head + "…\n256 steps\n")),
            "4: shows: 256 steps\n  prints: 255 steps");
  EXPECT_EQ(problem(block("text", head + "scale 3.95\n…\n")),
            "3: shows: scale 3.95\n  prints: scale 3.92");
  EXPECT_EQ(problem(block("text band", head + "scale 4 [3.9..4]\n")), "");
  EXPECT_NE(problem(block("text band", head + "scale 4 [4.1..5]\n")), "");
}

TEST_F(Lesson, CommandsOfALessonShareAFolder) {
  EXPECT_EQ(problem(block("text", "$ ./course run 1 quantize \\\n    --output x\n") + "then\n" +
                    block("text", "$ ./course run 1 quantize\nkept\n")),
            "");
  EXPECT_EQ(problem(block("text",
                          "$ ./course run 1 quantize --output x\n"
                          "$ ./course run 1 quantize\nlost\n")),
            "4: shows: lost\n  prints: kept");
}

TEST_F(Lesson, AnExitCodeIsExpectedWhereItIsShown) {
  const std::string command = "$ ./course run 1 quantize --type none";
  EXPECT_EQ(problem(block("text", command + "  # exit code 2\nno such type\n")), "");
  EXPECT_EQ(problem(block("text", command + "\nno such type\n")),
            "2: ended with exit code 2:\nno such type\n");
  EXPECT_NE(problem(block("text", "$ ./course run 1  # exit code 2\n…\n")), "");
}

TEST_F(Lesson, OtherOutputIsRecordedWithItsDate) {
  EXPECT_EQ(problem(block("text recorded", "$ ./course exercise 1  # 2026-01-31\npass\n")), "");
  EXPECT_NE(problem(block("text recorded", "$ ./course exercise 1\npass\n")), "");
  EXPECT_NE(problem(block("text", "$ ./course exercise 1\npass\n")), "");
  EXPECT_NE(problem(block("text", "$ ./course run 1 | head\n")), "");
  EXPECT_NE(problem(block("text", "$ ls\n")), "");
}

TEST_F(Lesson, EveryCommandMustExist) {
  EXPECT_EQ(problem(block("sh",
                          "./course run 1   # the lesson\n./course exercise N --reset\n"
                          "./course run 1 quantize --type FILE \\\n  --output FILE\n")),
            "");
  EXPECT_EQ(problem(block("sh", "ls\n./course runs\n")), "3: ./course runs: there is no verb runs");
  EXPECT_EQ(problem(block("sh", "./course run 7\n")), "2: ./course run 7: there is no chapter 7");
  EXPECT_NE(problem("`./course run 1 quantise`\n"), "");
  EXPECT_NE(problem("`./course run 1 quantize --types x`\n"), "");
  EXPECT_NE(problem("`./course run 1 quantize --typ x`\n"), "");
  EXPECT_NE(problem("`./course exercise 1 --hint`\n"), "");
  EXPECT_NE(problem(block("text", "$ ./course run 7\n…\n")), "");
}

TEST_F(Lesson, EveryFileFunctionAndTestMustExist) {
  EXPECT_EQ(problem("`scale.cpp` in `common/a/scale.cpp`, `a/scale.cpp`, `chapters/`, `README.md`, "
                    "`a::scale(x)`, `std::lower_bound()`, `Scale.IsASteps255th`, `x / 255`, "
                    "`chapters/NN_name/`, `adapter_config.json`, `torch.round`, `and/or`, "
                    "`runs/x`, `course/x`\n"),
            "");
  EXPECT_EQ(problem("one\n\n`common/a/shift.cpp`\n"), "3: there is no file common/a/shift.cpp");
  EXPECT_EQ(problem("`shift.cpp`\n"), "1: there is no file shift.cpp");
  EXPECT_EQ(problem("`tests/b/`\n"), "1: there is no file tests/b/");
  EXPECT_EQ(problem("`shift_of()`\n"), "1: there is no function shift_of");
  EXPECT_EQ(problem("`Scale.IsShifted`\n"), "1: there is no test Scale.IsShifted");
  EXPECT_EQ(problem("[it](../../course) ![that](https://a.b)\n"), "");
  EXPECT_EQ(problem("![it](figures/x.svg)\n"), "1: links figures/x.svg, which is not there");
}

TEST_F(Lesson, UpdateMendsBlocksAndNothingElse) {
  const std::string text =
      "# One\n\n" + block("cpp", "// common/a/scale.cpp: inner\n  return x;\n") + "\nand\n" +
      block("text", "$ ./course run 1\n…\ntook 9 s\n256 steps\n") +
      block("text", "$ ./course run 1\nold\n") + block("sh", "./course run 1\n");
  const Findings findings = check(text);
  EXPECT_EQ(findings.problems.size(), 3U);
  EXPECT_EQ(findings.code, 1);
  EXPECT_EQ(findings.outputs, 2);
  const std::string mended =
      "# One\n\n" + block("cpp", "// common/a/scale.cpp: inner\n  return x / 255.0f;\n") +
      "\nand\n" + block("text", "$ ./course run 1\n…\ntook 4 s\n255 steps\n") +
      block("text", "$ ./course run 1\nscale 3.92\ntook 4 s\n255 steps\n") +
      block("sh", "./course run 1\n");
  EXPECT_EQ(findings.updated, mended);
  EXPECT_TRUE(check(mended).problems.empty());
  EXPECT_EQ(check(mended).updated, mended);
}

TEST(Document, BlocksKnowTheirLinesAndInfo) {
  const std::string text = "a\n" + block("text band", "x\n\ny\n") + "- b\n  ```cpp\n  z\n  ```\n";
  const std::vector<Block> blocks = blocks_of(text);
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0].line, 2U);
  EXPECT_TRUE(blocks[0].is("band"));
  EXPECT_FALSE(blocks[0].is("ban"));
  EXPECT_EQ(blocks[0].lines, (std::vector<std::string>{"x", "", "y"}));
  EXPECT_EQ(blocks[1].line, 8U);
  EXPECT_EQ(blocks[1].lines, (std::vector<std::string>{"z"}));
  EXPECT_EQ(with_blocks(text, blocks), text);
}

TEST(Document, AMarkerStandsOnce) {
  EXPECT_THROW(marked_lines("// [a]\n// [/a]\n// [a]\n// [/a]\n", "a", "f"), BadInput);
  EXPECT_EQ(marked_lines("# [a]\n  x\n# [/a]\ny\n", "a", "f"), (std::vector<std::string>{"  x"}));
}

}  // namespace
}  // namespace qlora::testing
