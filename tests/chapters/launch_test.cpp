// Who starts the processes of a run: a launcher's variables, and how many may be started.
#include "support/launch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// The environment of a launcher, while one of these lives; without any before and behind it.
class Environment {
 public:
  explicit Environment(const Variables& variables) {
    clear();
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { clear(); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  static void clear();
};

void Environment::clear() {
  for (const char* name :
       {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
        "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS",
        "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES"}) {
    ::unsetenv(name);
  }
}

std::optional<ProcessPlace> place_of(const Variables& variables) {
  const Environment environment(variables);
  return place_in_environment();
}

void expect_place(const Variables& variables, int rank, int size, int local_rank,
                  const std::string& host) {
  const auto place = place_of(variables);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->rank, rank);
  EXPECT_EQ(place->size, size);
  EXPECT_EQ(place->local_rank, local_rank);
  EXPECT_EQ(place->host, host);
}

TEST(Place, IsAloneWithoutALauncher) {
  EXPECT_FALSE(place_of({}));
  EXPECT_FALSE(place_of({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
  EXPECT_FALSE(place_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}));
}

TEST(Place, IsTorchruns) {
  const Variables torchrun{{"RANK", "5"},
                           {"WORLD_SIZE", "8"},
                           {"LOCAL_RANK", "1"},
                           {"MASTER_ADDR", "node"},
                           {"MASTER_PORT", "1234"}};
  expect_place(torchrun, 5, 8, 1, "node");
  EXPECT_EQ(place_of(torchrun)->port, 1234);
}

TEST(Place, IsMpiruns) {
  expect_place({{"OMPI_COMM_WORLD_RANK", "3"},
                {"OMPI_COMM_WORLD_SIZE", "4"},
                {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}},
               3, 4, 2, "127.0.0.1");
  // Hydra of MPICH and Intel MPI; in an allocation of SLURM's its own processes are a step, one a
  // host, whose variables the ranks inherit.
  expect_place({{"PMI_RANK", "3"},
                {"PMI_SIZE", "4"},
                {"MPI_LOCALRANKID", "1"},
                {"MPI_LOCALNRANKS", "2"},
                {"SLURM_PROCID", "1"},
                {"SLURM_STEP_NUM_TASKS", "2"},
                {"SLURM_STEP_NUM_NODES", "2"},
                {"SLURM_LOCALID", "0"},
                {"MASTER_ADDR", "node"}},
               3, 4, 1, "node");
}

TEST(Place, IsSlurms) {
  const Variables srun{{"SLURM_PROCID", "3"},
                       {"SLURM_STEP_NUM_TASKS", "4"},
                       {"SLURM_STEP_NUM_NODES", "1"},
                       {"SLURM_LOCALID", "3"}};
  expect_place(srun, 3, 4, 3, "127.0.0.1");
  // srun --mpi=pmi2 sets rank and size of PMI beside them, and no local rank of it.
  Variables with_pmi = srun;
  with_pmi.insert(with_pmi.end(), {{"PMI_RANK", "3"}, {"PMI_SIZE", "4"}});
  expect_place(with_pmi, 3, 4, 3, "127.0.0.1");
}

TEST(Place, OnSeveralHostsNeedsTheNameOfOne) {
  EXPECT_THROW(place_of({{"SLURM_PROCID", "3"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_STEP_NUM_NODES", "2"},
                         {"SLURM_LOCALID", "1"}}),
               UsageError);
}

std::string refusal(std::int64_t count, int gpus, ExitCode code) {
  try {
    check_processes(count, gpus);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    return e.what();
  }
  return "";
}

TEST(ProcessCount, IsOfTheGpusOrAtMost64) {
  EXPECT_EQ(refusal(8, 8, ExitCode::done), "");
  EXPECT_EQ(refusal(64, 0, ExitCode::done), "");
  EXPECT_EQ(refusal(9, 8, ExitCode::machine_lacks),
            "--num-processes 9: each needs a GPU of its own, and 8 are here");
  EXPECT_EQ(refusal(2, 1, ExitCode::machine_lacks),
            "--num-processes 2: each needs a GPU of its own, and 1 is here");
  EXPECT_EQ(refusal(65, 0, ExitCode::usage),
            "--num-processes 65: on the CPU at most 64 can share a step");
  EXPECT_NE(refusal((std::int64_t{1} << 32) + 2, 0, ExitCode::usage), "");
}

// A signal while processes are started, whenever it comes, ends all that were.
TEST(Launching, CanBeStopped) {
  for (const char* seconds : {"0.01", "0.02", "0.04", "0.08"}) {
    const testing::Ended stopped = testing::run_process(
        {"timeout", "--preserve-status", "--signal", "TERM", seconds,
         QLORA_BIN "/ch12_qlora_finetuning", "train", "--device", "cpu", "--model",
         QLORA_TINY_LLAMA, "--data", QLORA_TINY_LLAMA "/../prices/validation.jsonl", "--max-steps",
         "100000", "--num-processes", "4", "--output-dir", testing::in_scratch("out")},
        testing::scratch().string(), 30);
    EXPECT_FALSE(stopped.timed_out) << seconds;
    EXPECT_EQ(stopped.exit_code, 143) << stopped.output;
  }
}

}  // namespace
}  // namespace qlora
