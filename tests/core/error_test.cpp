#include "core/error.h"

#include <gtest/gtest.h>

#include "core/todo.h"

namespace qlora {
namespace {

TEST(Error, BadInputIsFilePlaceAndProblemOnOneLine) {
  EXPECT_STREQ(BadInput("f.json", "line 3", "is wrong").what(), "f.json: line 3: is wrong");
  EXPECT_STREQ(BadInput("f.json", "", "is wrong").what(), "f.json: is wrong");
  EXPECT_STREQ(BadInput("", "", "is wrong").what(), "is wrong");
  // what a file says must not forge lines or move the cursor
  EXPECT_STREQ(BadInput("a\nb", "\x1b[2J", "c\td\x7f é").what(), "a?b: ?[2J: c?d? é");
}

TEST(Error, EachKindHasItsExitCode) {
  EXPECT_EQ(static_cast<int>(Error(ExitCode::check_failed, "x").code()), 1);
  EXPECT_EQ(static_cast<int>(UsageError("x").code()), 2);
  EXPECT_EQ(static_cast<int>(BadInput("", "", "x").code()), 3);
  EXPECT_EQ(static_cast<int>(MachineLacks("x").code()), 4);
}

TEST(Error, RequireNamesFunctionAndCondition) {
  EXPECT_NO_THROW(require(true, "f", "luck"));
  try {
    require(false, "matmul", "sizes of at least zero");
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "matmul requires sizes of at least zero");
  }
}

TEST(Todo, IsAKindOfItsOwn) {
  try {
    todo("quantize_nf4", "chapter 03, task 2");
    FAIL();
  } catch (const NotWritten& e) {
    EXPECT_STREQ(e.what(), "quantize_nf4 is yours to write: chapter 03, task 2");
  }
}

}  // namespace
}  // namespace qlora
