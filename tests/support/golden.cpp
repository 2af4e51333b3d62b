#include "support/golden.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

// The project's folder; QLORA_ROOT says where it is on a machine that did not build the tests.
const char* const kGiven = std::getenv("QLORA_ROOT");
const fs::path kRoot = kGiven == nullptr ? QLORA_SOURCE_DIR : kGiven;
const fs::path kGolden = kRoot / "tests" / "golden";

// One file a process, one line a golden file: read by the test golden_files_are_used. A test that
// is graded may not write there, and does without.
void note(const fs::path& file) {
  const fs::path folder = fs::path(QLORA_BINARY_DIR) / "golden-opened";
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  std::ofstream out(folder / std::to_string(::getpid()), std::ios::app);
  out << fs::relative(file, kGolden).string() << '\n';
}

}  // namespace

std::string golden(const std::string& relative) {
  const fs::path path = kGolden / relative;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) note(entry.path());
    }
  } else {
    note(path);
  }
  return path.string();
}

std::string family(const std::string& relative) {
  return (kRoot / "tests" / "families" / relative).string();
}

fs::path scratch() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  static const struct Root {
    fs::path path = fs::temp_directory_path() / ("qlora-test-" + std::to_string(::getpid()));
    ~Root() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  } root;
  const std::string name = std::string(info->test_suite_name()) + "." + info->name();
  const fs::path folder = root.path / name;
  fs::create_directories(folder);
  return folder;
}

std::string in_scratch(const std::string& name) {
  return (scratch() / name).string();
}

std::string assets() {
  const char* folder = std::getenv("COURSE_ASSETS");
  return folder == nullptr ? "" : folder;
}

}  // namespace qlora::testing
