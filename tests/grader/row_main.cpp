// The main of a graded program. Started by the grader, it runs one test and reports on a pipe how
// it ended; otherwise it is GoogleTest's.
//
// The grader passes the pipe and a number drawn for this row in QLORA_ROW="FD:NUMBER". A report
// counts only with that number, so it is taken out of the environment before any constructor of the
// student's file runs, and written after the test has returned.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>

#include "core/todo.h"

namespace {

constexpr std::size_t kMostText = 8000;  // what is shown of a failure

struct {
  int pipe = -1;
  char number[64] = {};
} row;

// Runs before shared libraries and constructors: no sanitizer is set up, nothing may be called.
__attribute__((no_sanitize("address", "undefined"))) void take_row(int, char**,
                                                                   char** environment) {
  constexpr char kName[] = "QLORA_ROW=";
  constexpr int kLength = sizeof(kName) - 1;
  for (; *environment != nullptr; ++environment) {
    volatile char* c = *environment;
    int same = 0;
    while (same < kLength && c[same] == kName[same]) ++same;
    if (same < kLength) continue;
    row.pipe = 0;
    for (c += kLength; *c >= '0' && *c <= '9'; ++c) row.pipe = row.pipe * 10 + (*c - '0');
    std::size_t n = 0;
    if (*c == ':') ++c;
    for (; *c != '\0'; ++c) {
      if (n + 1 < sizeof(row.number)) row.number[n++] = *c;
      *c = '\0';
    }
  }
}

__attribute__((section(".preinit_array"), used)) void (*take_row_first)(int, char**,
                                                                        char**) = take_row;

[[noreturn]] void report(const std::string& state, const std::string& text) {
  const std::string message =
      "\n" + std::string(row.number) + " " + state + "\n" + text.substr(0, kMostText);
  for (std::size_t done = 0; done < message.size();) {
    const ssize_t n = ::write(row.pipe, message.data() + done, message.size() - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::_exit(0);  // destructors and atexit handlers have no say in a mark
}

void out_of_memory() {
  report("CRASH", "out of memory");
}

std::string failures(const testing::TestResult& result) {
  std::string text;
  for (int i = 0; i < result.total_part_count(); ++i) {
    const testing::TestPartResult& part = result.GetTestPartResult(i);
    if (part.passed()) continue;
    if (part.file_name() != nullptr) {
      const std::string file = part.file_name();
      text += file.substr(file.rfind('/') + 1) + ":" + std::to_string(part.line_number()) + ": ";
    }
    text += std::string(part.message()) + "\n";
    if (text.size() > kMostText) break;
  }
  return text;
}

// The result of the one test that ran, or nullptr.
const testing::TestInfo* the_test(const testing::UnitTest& all) {
  if (all.test_to_run_count() != 1) return nullptr;
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const testing::TestInfo& test = *suite.GetTestInfo(t);
      if (test.should_run()) return &test;
    }
  }
  return nullptr;
}

[[noreturn]] void run_row() {
  ::fcntl(row.pipe, F_SETFD, FD_CLOEXEC);
  std::set_new_handler(out_of_memory);
  const int ended = RUN_ALL_TESTS();
  static_cast<void>(ended);  // counts for nothing: the test's own result does
  const testing::TestInfo* test = the_test(*testing::UnitTest::GetInstance());
  if (test == nullptr) report("MISSING", "");
  const testing::TestResult& result = *test->result();
  if (qlora::todo_was_called) report("todo", "");
  if (result.Skipped()) report("skipped", failures(result));
  if (result.Failed()) report("FAIL", failures(result));
  report("pass", "");
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (row.pipe >= 0) run_row();
  return RUN_ALL_TESTS();
}
