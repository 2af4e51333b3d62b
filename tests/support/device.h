// The device that the suites of the decoder and the trainer compute on: the CPU, or a GPU where
// QLORA_TEST_DEVICE=cuda says so. The same tests hold for both.
#pragma once

#include <cstdlib>
#include <string_view>

#include "llama/load.h"
#include "ops/device_memory.h"
#include "support/golden.h"

namespace qlora::testing {

inline Device test_device() {
  const char* name = std::getenv("QLORA_TEST_DEVICE");
  return name != nullptr && std::string_view(name) == "cuda" ? Device::cuda : Device::cpu;
}

inline Arena test_arena() {
  return ops::arena_on(test_device());
}

/// A golden model there, in float32.
inline LlamaModel golden_model(const std::string& folder, LoadOptions options = {}) {
  options.placement = {test_device(), DType::f32};
  return load_model(golden(folder), options);
}

}  // namespace qlora::testing

/// Skips a test that looks into the model's memory, or is of something that the CPU alone does.
#define SKIP_ON_GPU()                                             \
  if (::qlora::testing::test_device() == ::qlora::Device::cuda) { \
    GTEST_SKIP() << "is of the CPU alone";                        \
  }                                                               \
  static_assert(true, "")
