// A run that is killed at any moment goes on from its last checkpoint as if nothing had happened.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "checkpoint/safetensors.h"
#include "core/random.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "training/trainer_state.h"

extern char** environ;

namespace qlora {
namespace {

using testing::golden;
using testing::same_bytes;
using testing::scratch;

// killed_run.cpp is the run: a process of its own, so that it can be killed.
pid_t start_child(const std::string& folder) {
  std::string program = QLORA_KILLED_RUN, model = golden("llama_nf4/a"), to = folder;
  char* arguments[] = {program.data(), model.data(), to.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

// The losses, norms and rates of all steps, as the last checkpoint has them.
std::string log_of(const std::string& folder) {
  const Json state = Json::read(checkpoint_folder(folder, 12) + "/trainer_state.json");
  return state.at("log_history").dump(-1, true);
}

TEST(KilledRun, TwentyTimesAtRandomMomentsGivesTheSameLosses) {
  const std::string whole = (scratch() / "whole").string(),
                    killed = (scratch() / "killed").string();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(wait_for(start_child(whole)), 0);
  const auto length = std::chrono::steady_clock::now() - begin;
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  const Random random{seed, 1};
  int kills = 0, runs = 0;
  for (std::uint64_t i = 0; kills < 20 && runs < 400; ++i, ++runs) {
    const pid_t child = start_child(killed);
    std::this_thread::sleep_for(length * static_cast<double>(random.uniform(i)) * 0.7);
    ::kill(child, SIGKILL);
    if (WIFSIGNALED(wait_for(child))) ++kills;
    // A run that came to its end is begun anew, so that there is something to kill.
    const bool ended = newest_checkpoint(killed) == checkpoint_folder(killed, 12);
    if (ended && kills < 20) std::filesystem::remove_all(killed);
  }
  EXPECT_EQ(kills, 20) << "seed " << seed;
  ASSERT_EQ(wait_for(start_child(killed)), 0) << "seed " << seed;
  EXPECT_EQ(log_of(killed), log_of(whole)) << "seed " << seed;
  const auto a = SafetensorsFile::open(whole + "/end.safetensors");
  const auto b = SafetensorsFile::open(killed + "/end.safetensors");
  for (const TensorInfo& t : a.tensors()) {
    EXPECT_TRUE(same_bytes(a.tensor(t.name), b.tensor(t.name))) << t.name << " seed " << seed;
  }
}

}  // namespace
}  // namespace qlora
