// count: PEFT's line for any decoder, from its config.json.
#pragma once

#include <cstdint>
#include <string>

#include "course/options.h"

namespace qlora::chapter06 {

/// The command line of `count`.
struct CountOptions {
  std::string model;                             ///< a Hugging Face folder; config.json suffices
  std::string random_model;                      ///< or the name of a published shape
  std::int64_t r = 8;                            ///< rank
  std::string target_modules = "q_proj,v_proj";  ///< as PEFT's LoraConfig takes them
  bool use_dora = false;                         ///< a magnitude for each output, too
  std::string json;                              ///< where the counts go
};

/// Declares the verb's options.
void add_count_options(Options& verb, CountOptions& o);

/// Prints the adapters by module, their size as a file, and PEFT's line.
/// @throws UsageError, BadInput
void run_count(const CountOptions& o);

}  // namespace qlora::chapter06
