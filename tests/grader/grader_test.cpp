// The grader on an exercise of one function: what honest, mistaken and hostile files score. The
// rows have 2, 1, 1 and 1 points; the last one is skipped where the function returns.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>

#include "class.h"
#include "core/files.h"
#include "process.h"
#include "support/golden.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

const fs::path kGrader = fs::path(QLORA_SOURCE_DIR) / "tests" / "grader";

Exercise fixture() {
  Exercise exercise = read_exercise(kGrader / "fixture" / "exercise" / "exercise.json");
  exercise.tasks[0].seconds = QLORA_SANITIZED ? 5.0 : 1.0;
  return exercise;
}

// A folder of students, each with one file of tests/grader/hostile, or any other.
class Class {
 public:
  explicit Class(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      add(name, read_file((kGrader / "hostile" / (name + ".cpp")).string()));
    }
  }
  void add(const std::string& name, const std::string& text) const {
    const fs::path file = folder_.path() / name / "fixture" / "exercise" / "twice.cpp";
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  const fs::path& folder() const { return folder_.path(); }

  // "pass FAIL CRASH todo 3" of each student: the states of the rows, and the points. Behind them,
  // why there is no program, up to its first line break.
  std::map<std::string, std::string> grade(int jobs = 2) const {
    std::map<std::string, std::string> marks;
    for (const Json& student : grade_class({fixture()}, folder(), {}, jobs)) {
      std::string line;
      for (const Json& row : student.at("tasks").at(0).at("rows").as_array()) {
        line += row.at("state").as_string() + " ";
      }
      line += std::to_string(student.at("points").as_integer());
      const std::string& problem = student.at("tasks").at(0).at("problem").as_string();
      if (!problem.empty()) line += ": " + problem.substr(0, problem.find('\n'));
      marks[student.at("student").as_string()] = line;
    }
    return marks;
  }

 private:
  ScratchFolder folder_;
};

const std::string kRight = "pass pass pass skipped 4";
const std::string kOneMistake = "pass FAIL FAIL skipped 2";
const std::string kCrashed = "CRASH CRASH CRASH CRASH 0";
const std::string kMissing = "MISSING MISSING MISSING MISSING 0: ";

bool sandbox_is_whole() {
  return missing_protection().empty();
}

// Children that this process would wait for: none may outlive its row.
bool nothing_is_left() {
  return ::waitpid(-1, nullptr, WNOHANG) == -1;
}

TEST(Grader, HonestFilesAndStubs) {
  const Class students({"honest", "one_mistake"});
  students.add("stub", read_file((kGrader / "fixture/exercise/twice.cpp").string()));
  const auto marks = students.grade();
  EXPECT_EQ(marks.at("honest"), kRight);
  EXPECT_EQ(marks.at("one_mistake"), kOneMistake);
  EXPECT_EQ(marks.at("stub"), "todo todo todo todo 0");  // also where any exception would do
}

TEST(Grader, EndingEarlyIsNoPass) {
  const Class students({"exits_in_a_constructor", "exits_quickly_in_a_constructor",
                        "exits_in_the_test", "exits_quickly_in_the_test", "prints_a_pass",
                        "reports_a_pass", "raises_a_signal", "jumps_out"});
  for (const auto& [name, line] : students.grade()) EXPECT_EQ(line, kCrashed) << name;
}

TEST(Grader, TheOthersMarksAreAsBefore) {
  const Class alone({"honest", "one_mistake"});
  const auto before = alone.grade();
  const Class together({"eats_all_memory", "forks_without_end", "honest", "loops_forever",
                        "one_mistake", "sleeps_forever", "eats_all_disk"});
  const auto after = together.grade();
  EXPECT_EQ(after.at("honest"), before.at("honest"));
  EXPECT_EQ(after.at("one_mistake"), before.at("one_mistake"));
  for (const char* name : {"eats_all_memory", "loops_forever", "sleeps_forever", "eats_all_disk"}) {
    EXPECT_EQ(after.at(name), kCrashed) << name;
  }
  EXPECT_EQ(after.at("forks_without_end").back(), '0');
  EXPECT_TRUE(nothing_is_left());
}

TEST(Grader, WhatTheSandboxRefuses) {
  if (!sandbox_is_whole()) GTEST_SKIP() << "needs Landlock and seccomp";
  const Class students(
      {"opens_a_connection", "writes_outside", "kills_others", "forks_without_end"});
  // No attempt succeeds, so that each returns a wrong number; the third row wants an exception.
  for (const auto& [name, line] : students.grade()) {
    EXPECT_EQ(line, "FAIL FAIL FAIL FAIL 0") << name;
  }
  for (const char* file : {"/tmp/qlora-was-here", "/etc/qlora-was-here", "/dev/shm/qlora-was-here",
                           "/var/tmp/qlora-was-here"}) {
    EXPECT_FALSE(fs::exists(file)) << file;
  }
}

// The same program outside of the sandbox: what it tries does succeed there.
TEST(Grader, WhatIsRefusedWouldSucceed) {
  const Class students({"opens_a_connection"});
  const ScratchFolder output;
  const Exercise exercise = fixture();
  const HeaderTree tree({exercise}, output.path() / "tree");
  const Program program = compile_submission(
      exercise, exercise.tasks[0],
      students.folder() / "opens_a_connection/fixture/exercise/twice.cpp", tree, output.path());
  ASSERT_EQ(program.problem, "");
  EXPECT_EQ(std::system((program.path.string() + " --gtest_filter=Twice.OfANumber").c_str()), 0);
}

TEST(Grader, AFileThatIsReadableIsNotTruncated) {
  if (!sandbox_is_whole()) GTEST_SKIP() << "needs Landlock and seccomp";
  const ScratchFolder scratch;
  const std::string file = scratch.path() / "file";
  std::ofstream(file) << "whole";
  const pid_t child = ::fork();
  if (child == 0) {
    const bool confined = confine({{scratch.path()}, {}, false});
    const bool readable = ::open(file.c_str(), O_RDONLY) >= 0;
    ::_exit(confined && readable && ::open(file.c_str(), O_RDONLY | O_TRUNC) < 0 ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(file), "whole");
}

// Inside its own sandbox the grader can make no other: as in a container that lets nothing through.
TEST(Grader, AClassIsNotGradedWithoutASandbox) {
  if (!sandbox_is_whole()) GTEST_SKIP() << "needs Landlock and seccomp";
  const ScratchFolder scratch;
  const std::string grader = (fs::path(QLORA_BINARY_DIR) / "bin" / "grader").string();
  Command command;
  command.arguments = {grader, "class", "--folder", scratch.path(), "--output", scratch.path()};
  command.environment = {"ASAN_OPTIONS=disable_coredump=0:detect_leaks=0"};
  command.folder = scratch.path();
  command.sandbox = {{grader}, {scratch.path()}, true};
  const Ended ended = run_limited(command);
  EXPECT_EQ(ended.code, 4) << ended.output;
  EXPECT_NE(ended.output.find("Landlock"), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("--unsafe"), std::string::npos) << ended.output;
}

TEST(Grader, FilesThatAreNotLinked) {
  const Class students(
      {"uses_the_framework", "defines_write", "does_not_compile", "lacks_the_function"});
  students.add("empty_folder", "");
  fs::remove(students.folder() / "empty_folder/fixture/exercise/twice.cpp");
  students.add("links", "");
  fs::remove(students.folder() / "links/fixture/exercise/twice.cpp");
  fs::create_symlink(kGrader / "hostile/honest.cpp",
                     students.folder() / "links/fixture/exercise/twice.cpp");
  students.add("links_above", "");
  fs::remove_all(students.folder() / "links_above/fixture");
  fs::create_symlink(students.folder() / "links/fixture",
                     students.folder() / "links_above/fixture");
  auto marks = students.grade();
  const auto expect = [&](const std::string& name, const std::string& why) {
    EXPECT_EQ(marks[name].substr(0, kMissing.size() + why.size()), kMissing + why) << marks[name];
  };
  expect("uses_the_framework", "the file is not graded: it uses the test framework");
  expect("defines_write", "the file is not graded: it defines write");
  expect("does_not_compile", "it does not compile");
  expect("lacks_the_function", "it cannot be linked");
  expect("empty_folder", "the file twice.cpp is not there");
  expect("links", "the file twice.cpp is a symbolic link");
  expect("links_above", "the file twice.cpp is a symbolic link");
}

TEST(Grader, TheReferenceCannotBeIncluded) {
  if (!sandbox_is_whole()) GTEST_SKIP() << "needs Landlock and seccomp";
  const Class students({});
  const std::string path = (kGrader / "fixture/twice_oracle.cpp").string();
  students.add("by_path", "#include \"" + path + "\"\n");
  students.add("from_the_folder", "#include \"../twice_oracle.cpp\"\n");
  students.add("as_object", "asm(\".incbin \\\"" + path + "\\\"\");\n");
  for (const auto& [name, line] : students.grade()) {
    EXPECT_EQ(line, kMissing + "it does not compile:") << name;
  }
}

TEST(Grader, ProcessesThatLeaveTheirGroupAreEndedToo) {
  const ScratchFolder scratch;
  Command command;
  command.arguments = {"/bin/sh", "-c", "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.2"};
  command.environment = {"PATH=/usr/bin:/bin"};
  command.folder = scratch.path();
  command.sandbox = {{}, {scratch.path()}, true};
  adopt_orphans();
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = run_limited(command);
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_TRUE(nothing_is_left());
}

TEST(Grader, ARowThatIsNotThereIsMissing) {
  const fs::path program = fs::path(QLORA_BINARY_DIR) / "exercises" / "fixture_twice_reference";
  EXPECT_EQ(run_row(program, "Twice.NoSuchTest", 5.0, {}).state, State::missing);
  EXPECT_EQ(run_row(program, "Twice.*", 5.0, {}).state, State::missing);  // more than one
  EXPECT_EQ(run_row(program, "Twice.OfANumber", 5.0, {}).state, State::pass);
  EXPECT_EQ(run_row("/no/such/program", "Twice.OfANumber", 5.0, {}).state, State::crash);
}

TEST(Grader, StrangersTextIsPrintable) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\tc\x7f"), "a?[31mb?\n c?");
  EXPECT_EQ(printable("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\xff\xc0\x80\xed\xa0\x80\xc2\x9b"), "???????");
  EXPECT_EQ(printable("\xe2\x82"), "??");
  EXPECT_EQ(printable("abc", 2), "ab");
}

}  // namespace
}  // namespace qlora::grader
