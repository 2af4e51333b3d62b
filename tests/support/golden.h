// The golden files of the real libraries, and the optional assets.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace qlora::testing {

/// Path of a golden file or folder ("nf4/cases.safetensors"). Every file under it is noted as
/// opened, for the test that fails on golden files which no test opens.
std::string golden(const std::string& relative);

/// A file or folder of the tiny models and tokenizers of tests/families ("gemma").
std::string family(const std::string& relative);

/// A scratch folder of the running test, empty, removed when the process ends.
std::filesystem::path scratch();

/// The path of a file there.
std::string in_scratch(const std::string& name);

/// The folder of the optional assets (environment variable COURSE_ASSETS), or "".
std::string assets();

}  // namespace qlora::testing

/// Skips the test, saying so, where COURSE_ASSETS is not set.
#define SKIP_WITHOUT_ASSETS()                                                \
  if (::qlora::testing::assets().empty()) {                                  \
    GTEST_SKIP() << "needs the course's optional assets: set COURSE_ASSETS"; \
  }                                                                          \
  static_assert(true, "")
