// Two processes of one run, started by hand as a launcher starts them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "support/process.h"

namespace qlora::testing {

/// Starts ranks "0" and "1" at once; expects both to end well, and the first to speak for all.
inline void expect_two_run(const std::function<Ended(const std::string& rank)>& start) {
  Ended second;
  std::thread other([&] { second = start("1"); });
  const Ended first = start("0");
  other.join();
  EXPECT_TRUE(first.ok()) << first.output;
  EXPECT_TRUE(second.ok()) << second.output;
  EXPECT_EQ(second.output, "");
}

}  // namespace qlora::testing
