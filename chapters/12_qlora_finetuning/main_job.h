// The story of the embedded model: what it knew, what it learned in three minutes.
#pragma once

#include <cstdint>
#include <string>

namespace qlora {

struct MainJobOptions {
  std::string output_dir = "runs/main-job";
  std::string test_data;
  std::string model;  ///< default: the embedded one
  std::int64_t seed = 42;
  std::int64_t items = 24000;  ///< training items seen
  double learning_rate = 2e-3;
  std::int64_t r = 32;
  std::int64_t batch_size = 16;
  bool with_random_base = false;
  std::string json;
  std::string command;
};

/// Base evaluated, trained, tuned evaluated; the report printed and written. @return exit code
int run_main_job(const MainJobOptions& o);

}  // namespace qlora
