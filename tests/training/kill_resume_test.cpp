// A run that is killed at any moment goes on from its last checkpoint as if nothing had happened.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "checkpoint/safetensors.h"
#include "core/files.h"
#include "core/random.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "training/trainer.h"

extern char** environ;

namespace qlora {
namespace {

using testing::golden;
using testing::same_bytes;
using testing::scratch;

constexpr const char* kFolder = "QLORA_KILLED_RUN";

// Twelve steps with dropout, a checkpoint after each; the adapter is written at the end.
void run_in(const std::string& folder) {
  LlamaModel model = load_model(golden("llama_nf4/a"));
  LoraConfig lora;
  lora.r = 8;
  lora.lora_dropout = 0.1;
  lora.target_modules = std::string("all-linear");
  attach_lora(model, lora, 5);
  std::vector<TokenizedExample> data;
  const Random random{3, 1};
  for (std::uint64_t i = 0; i < 40; ++i) {
    TokenizedExample e;
    for (std::uint64_t t = 0; t < 24; ++t) {
      e.input_ids.push_back(static_cast<std::int32_t>(random.below(24 * i + t, 380)));
    }
    e.labels = e.input_ids;
    data.push_back(e);
  }
  TrainingArguments arguments;
  arguments.learning_rate = 1e-2;
  arguments.per_device_train_batch_size = 8;
  arguments.max_steps = 12;
  arguments.save_steps = 1;
  arguments.logging_steps = 1;
  TrainingTask task{model, adapter_parameters(model), data, {}, 0, arguments, folder, {}};
  train(task, {}, newest_checkpoint(folder));
  NamedTensors end;
  for (const Parameter& p : task.parameters) end.emplace_back(p.name, p.value);
  write_safetensors(folder + "/end.safetensors", end);
}

// The run below is a process of its own, started and killed by the test after it.
TEST(KilledRun, DISABLED_Child) {
  const char* folder = std::getenv(kFolder);
  ASSERT_NE(folder, nullptr);
  run_in(folder);
}

pid_t start_child(const std::string& folder) {
  ::setenv(kFolder, folder.c_str(), 1);
  std::string filter = "--gtest_filter=KilledRun.DISABLED_Child";
  std::string disabled = "--gtest_also_run_disabled_tests", quiet = "--gtest_brief=1";
  std::string self = "/proc/self/exe";
  char* arguments[] = {self.data(), filter.data(), disabled.data(), quiet.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ), 0);
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
