#include "course/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "core/files.h"
#include "course/text.h"
#include "support/golden.h"

namespace qlora {
namespace {

ProgressState state(std::int64_t done, std::int64_t total, double seconds) {
  return {.label = "train",
          .unit = "steps",
          .done = done,
          .total = total,
          .seconds = seconds,
          .text = ""};
}

TEST(ProgressLine, SaysShareRateAndTimeLeft) {
  ProgressState s = state(120, 267, 40.0);
  s.text = "loss 1.234";
  EXPECT_EQ(progress_line(s, 100, false),
            "train 44 %  120/267 steps  3 steps/s  0:49 left  loss 1.234");
  EXPECT_EQ(progress_line(s, 100, true),
            "train [==========>-------------] 44 %  120/267 steps  3 steps/s  0:49 left  "
            "loss 1.234");
}

TEST(ProgressLine, ARateBelowOneIsATimeForEach) {
  EXPECT_EQ(progress_line(state(2, 10, 9.0), 100, false),
            "train 20 %  2/10 steps  4.5 s each  0:36 left");
}

TEST(ProgressLine, WhatWasDoneBeforeDoesNotCountInTheRate) {
  ProgressState s = state(60, 100, 5.0);
  s.first = 50;
  EXPECT_EQ(progress_line(s, 100, false), "train 60 %  60/100 steps  2 steps/s  0:20 left");
}

TEST(ProgressLine, AtTheEndItGivesTheTimeTaken) {
  ProgressState s = state(10, 10, 65.0);
  s.finished = true;
  EXPECT_EQ(progress_line(s, 100, true),
            "train [========================] 100 %  10/10 steps  6.5 s each  1:05");
}

TEST(ProgressLine, WithoutATotalOrATimeItSaysWhatItKnows) {
  EXPECT_EQ(progress_line(state(5000, 0, 2.0), 100, true),
            "train  5,000 steps  2,500 steps/s  0:02");
  EXPECT_EQ(progress_line(state(0, 10, 0.0), 100, false), "train 0 %  0/10 steps  0:00");
  EXPECT_EQ(progress_line(state(3, 10, 0.0), 100, false), "train 30 %  3/10 steps  0:00 left");
}

TEST(ProgressLine, KeepsWithinTheWidth) {
  ProgressState s = state(123456, 999999, 77.0);
  s.text = "≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤≤";
  for (std::size_t width = 1; width <= 100; ++width) {
    EXPECT_LE(display_width(progress_line(s, width, true)), width);
  }
}

// What a function writes to a file, which is no terminal.
template <typename F>
std::string written(F f) {
  const std::string path = testing::scratch() / "out";
  std::FILE* out = std::fopen(path.c_str(), "w");
  if (out == nullptr) throw std::runtime_error("no scratch file");
  f(out);
  std::fclose(out);
  return read_file(path);
}

TEST(Progress, ElsewhereThanOnATerminalItWritesALineEachTenth) {
  int texts = 0;
  const std::string out = written([&](std::FILE* file) {
    Progress progress("train", 1000, "steps", 0, file);
    for (int i = 1; i <= 1000; ++i) {
      progress.update(i, [&] {
        ++texts;
        return "loss " + std::to_string(i);
      });
    }
    progress.finish();
  });
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 11);  // the first step, nine tenths, the end
  EXPECT_EQ(texts, 10);
  EXPECT_EQ(out.find('\r'), std::string::npos);
  EXPECT_EQ(out.find('\x1b'), std::string::npos);
  EXPECT_NE(out.find("train 10 %  100/1,000 steps"), std::string::npos) << out;
  EXPECT_NE(out.find("train 100 %  1,000/1,000 steps"), std::string::npos) << out;
  EXPECT_EQ(out.back(), '\n');
}

TEST(Progress, ATotalThatTenDoesNotDivideHasAsManyLines) {
  for (int total : {11, 99, 267, 1003}) {
    const std::string out = written([&](std::FILE* file) {
      Progress progress("train", total, "steps", 0, file);
      for (int i = 1; i <= total; ++i) progress.update(i);
      progress.finish();
    });
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 11) << total << "\n" << out;
  }
}

TEST(Progress, AnEarlyEndIsNotCalledTheWholeWay) {
  const std::string out = written([](std::FILE* file) {
    Progress progress("train", 10, "steps", 0, file);
    for (int i = 1; i <= 4; ++i) progress.update(i);
    progress.finish("stopped");
    progress.finish();  // once is enough
  });
  const std::string last = out.substr(out.rfind("train"));
  EXPECT_TRUE(last.starts_with("train 40 %  4/10 steps")) << last;
  EXPECT_NE(last.find("stopped\n"), std::string::npos) << last;
}

TEST(Progress, AMillionUpdatesCostNearlyNothing) {
  const auto start = std::chrono::steady_clock::now();
  written([](std::FILE* file) {
    Progress progress("count", 1'000'000, "rows", 0, file);
    for (int i = 1; i <= 1'000'000; ++i) progress.update(i);
    progress.finish();
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  // A look at the clock takes tens of nanoseconds, so 0.05 s; the bound leaves room for sanitizers
  // and a busy machine, and is far below the 10 s of a write for each update.
  EXPECT_LT(seconds.count(), 2.0);
}

}  // namespace
}  // namespace qlora
