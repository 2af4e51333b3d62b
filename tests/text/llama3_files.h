// Llama 3's tokenizer.json from the optional assets, where it lies packed.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/golden.h"

namespace qlora::testing {

/// Puts tokenizer.json into a folder, unpacked by xz. @return whether that is installed
inline bool put_llama3_json(const std::filesystem::path& folder) {
  const std::string packed = assets() + "/tokenizers/llama3/tokenizer.json.xz";
  const std::string command =
      "xz -dc '" + packed + "' > '" + (folder / "tokenizer.json").string() + "'";
  return std::system(command.c_str()) == 0;
}

}  // namespace qlora::testing

/// Puts tokenizer.json into a folder, or skips the test, saying so.
#define PUT_LLAMA3_JSON_OR_SKIP(folder)                                       \
  if (!::qlora::testing::put_llama3_json(folder)) {                           \
    GTEST_SKIP() << "tokenizer.json.xz cannot be unpacked: install xz-utils"; \
  }                                                                           \
  static_assert(true, "")
