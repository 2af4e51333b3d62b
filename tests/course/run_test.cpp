#include "course/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>

#include "core/error.h"
#include "core/todo.h"

namespace qlora {
namespace {

struct Ended {
  int code;
  std::string out, err;
};

Ended ended(const std::function<int()>& f) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = f();
  std::fflush(stdout);
  std::string out = ::testing::internal::GetCapturedStdout();
  return {code, out, ::testing::internal::GetCapturedStderr()};
}

Ended ended_by(const std::function<void()>& thrower) {
  return ended([&] {
    return run_main("ch00", [&] {
      thrower();
      return 0;
    });
  });
}

TEST(RunMain, GivesTheCodeOfTheFunction) {
  const Ended e = ended([] { return run_main("ch00", [] { return 130; }); });
  EXPECT_EQ(e.code, 130);
  EXPECT_EQ(e.err, "");
}

TEST(RunMain, EveryErrorIsOneLineWithItsCode) {
  const auto expect = [](const std::function<void()>& f, int code, const std::string& line) {
    const Ended e = ended_by(f);
    EXPECT_EQ(e.code, code);
    EXPECT_EQ(e.err, "ch00: " + line + "\n");
  };
  expect([] { throw BadInput("f.json", "line 3", "is wrong"); }, 3, "f.json: line 3: is wrong");
  expect([] { throw UsageError("--x is not known"); }, 2, "--x is not known");
  expect([] { throw MachineLacks("no GPU"); }, 4, "no GPU");
  expect([] { throw Error(ExitCode::check_failed, "2 claims failed"); }, 1, "2 claims failed");
  expect([] { todo("quantize_nf4", "chapter 03"); }, 1,
         "quantize_nf4 is yours to write: chapter 03");
  expect([] { throw std::logic_error("oh"); }, 1, "internal error: oh");
}

TEST(RunMain, OutOfMemoryIsWhatTheMachineLacks) {
  const Ended e = ended_by([] { throw std::bad_alloc(); });
  EXPECT_EQ(e.code, 4);
  EXPECT_EQ(e.err.rfind("ch00: memory ran out", 0), 0u) << e.err;
  EXPECT_EQ(std::count(e.err.begin(), e.err.end(), '\n'), 1);
}

int with_arguments(Options& options, std::vector<std::string> words) {
  words.insert(words.begin(), "program");
  std::vector<char*> argv;
  argv.reserve(words.size());
  for (std::string& w : words) argv.push_back(w.data());
  return run(static_cast<int>(argv.size()), argv.data(), options);
}

TEST(Run, CallsTheActionOfTheVerb) {
  Options options("ch00", "d");
  std::int64_t n = 0;
  Options& verb = options.verb("count", "counts");
  verb.add("--n", n, "how far");
  verb.action([&] { return ExitCode{n == 5 ? ExitCode::check_failed : ExitCode::done}; });
  bool lesson = false;
  options.action([&] { lesson = true; });
  EXPECT_EQ(with_arguments(options, {"count", "--n", "5"}), 1);
  EXPECT_FALSE(lesson);
}

TEST(Run, WithoutWordsItGivesTheLesson) {
  Options options("ch00", "d");
  bool lesson = false;
  options.action([&] { lesson = true; });
  EXPECT_EQ(with_arguments(options, {}), 0);
  EXPECT_TRUE(lesson);
}

TEST(Run, HelpGoesToStandardOutputAndErrorsDoNot) {
  Options help("ch00", "What it is.");
  help.action([] { return 9; });
  const Ended asked = ended([&] { return with_arguments(help, {"--help"}); });
  EXPECT_EQ(asked.code, 0);
  EXPECT_NE(asked.out.find("What it is."), std::string::npos);
  EXPECT_EQ(asked.err, "");
  Options wrong("ch00", "d");
  const Ended refused = ended([&] { return with_arguments(wrong, {"--nothing"}); });
  EXPECT_EQ(refused.code, 2);
  EXPECT_EQ(refused.out, "");
}

}  // namespace
}  // namespace qlora
