// `train` in several processes, on the CPU.
#include <gtest/gtest.h>

#include <fstream>
#include <initializer_list>
#include <string_view>

#include "chapters/two_processes.h"
#include "checkpoint/safetensors.h"
#include "core/connection.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::in_scratch;
using testing::is_close;
using testing::scratch;

const std::string kTrain = QLORA_BIN
    "/ch12_qlora_finetuning train --device cpu --model " QLORA_TINY_LLAMA
    " --target-modules all-linear --r 4 --learning-rate 1e-3 --max-length 64 --logging-steps 1 ";
const std::string kRows = "--data " QLORA_TINY_LLAMA
                          "/../prices/validation.jsonl --lora-dropout 0.1 "
                          "--per-device-train-batch-size 2 ";
const std::string kThreeSteps = kTrain + kRows + "--max-steps 3 --save-strategy no ";

// The words of a command, in pieces.
testing::Ended run(std::initializer_list<std::string_view> pieces) {
  std::string command;
  for (const std::string_view piece : pieces) command.append(piece).append(" ");
  return testing::run_process(testing::shell_words(command), scratch().string(), 120);
}

// Whether two runs came to the same adapter. The sums of gradients are rounded in another order:
// 2^-24 of their size, which AdamW's first steps, g / |g| at most, make into as much of a step of
// 1e-3; three steps, and the roundings that one leaves to the next.
void expect_same_adapter(const std::string& one, const std::string& other) {
  const auto a = SafetensorsFile::open(one + "/adapter_model.safetensors");
  const auto b = SafetensorsFile::open(other + "/adapter_model.safetensors");
  ASSERT_FALSE(a.tensors().empty());
  double moved = 0;
  for (const TensorInfo& t : a.tensors()) {
    const Tensor x = a.tensor(t.name), y = b.tensor(t.name);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      EXPECT_TRUE(is_close(x.data<float>()[i], y.data<float>()[i], 2e-5)) << t.name;
      if (t.name.find("lora_B") != std::string::npos) {
        moved = std::max(moved, std::abs(double{x.data<float>()[i]}));
      }
    }
  }
  EXPECT_GT(moved, 1e-3);  // B began at zero: it was trained, by far more than the bound
}

std::vector<double> losses_of(const std::string& folder) {
  std::vector<double> losses;
  const Json state = Json::read(folder + "/trainer_state.json");
  for (const Json& entry : state.at("log_history").as_array()) {
    for (const char* name : {"loss", "eval_loss"}) {
      if (const Json* loss = entry.find(name)) losses.push_back(loss->as_number());
    }
  }
  return losses;
}

// The same global batch, by one process and by several: dropout, packing, evaluation, and epochs
// whose last step has fewer micro-batches than there are processes.
TEST(DataParallel, IsTheRunOfOneProcess) {
  for (const char* data : {"", "--packing "}) {
    const std::string options = kThreeSteps + data +
                                "--eval-data " QLORA_TINY_LLAMA
                                "/../prices/test.jsonl --eval-steps 3 ";
    const std::string one = in_scratch("one"), two = in_scratch("two"), four = in_scratch("four");
    const auto whole = run({options, "--gradient-accumulation-steps 4 --output-dir ", one});
    ASSERT_TRUE(whole.ok()) << whole.output;
    const auto halves =
        run({options, "--gradient-accumulation-steps 2 --num-processes 2 --output-dir ", two});
    ASSERT_TRUE(halves.ok()) << halves.output;
    EXPECT_NE(halves.output.find("2 processes: each step has 4 micro-batches of 2 rows, 2 of each"),
              std::string::npos)
        << halves.output;
    const auto quarters = run({options, "--num-processes 4 --output-dir ", four});
    ASSERT_TRUE(quarters.ok()) << quarters.output;
    expect_same_adapter(one, two);
    expect_same_adapter(one, four);
    const std::vector<double> losses = losses_of(one);
    ASSERT_EQ(losses.size(), 4u);
    for (const std::string& folder : {two, four}) {
      const std::vector<double> others = losses_of(folder);
      ASSERT_EQ(others.size(), losses.size());
      // rounded to four decimals where they are logged
      for (std::size_t i = 0; i < losses.size(); ++i)
        EXPECT_TRUE(is_close(others[i], losses[i], 1.01e-4));
    }
  }
}

TEST(DataParallel, AnEpochsLastStepMayHaveFewerMicroBatchesThanProcesses) {
  const std::string data = in_scratch("five.jsonl");
  std::ofstream file(data);
  for (int i = 0; i < 5; ++i) {
    file << R"({"prompt": "item )" << i << R"( costs $", "completion": ")" << 11 * i << "\"}\n";
  }
  file.close();
  const std::string options =
      kTrain + "--data " + data +
      " --per-device-train-batch-size 1 --num-train-epochs 2 --save-strategy no --output-dir ";
  ASSERT_TRUE(run({options, in_scratch("a"), " --gradient-accumulation-steps 3"}).ok());
  ASSERT_TRUE(run({options, in_scratch("b"), " --num-processes 3"}).ok());
  expect_same_adapter(in_scratch("a"), in_scratch("b"));
}

TEST(DataParallel, BadInputIsSaidOnce) {
  const auto ended =
      run({kTrain, "--num-processes 3 --data missing.jsonl --output-dir ", in_scratch("bad")});
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  const std::string line = "missing.jsonl";
  const std::size_t first = ended.output.find(line);
  ASSERT_NE(first, std::string::npos) << ended.output;
  EXPECT_EQ(ended.output.find(line, first + 1), std::string::npos) << ended.output;
}

// torchrun's variables, as any launcher that knows them sets them; and those of mpirun.
TEST(DataParallel, TakesItsPlaceFromTheEnvironment) {
  const std::string one = in_scratch("one"), two = in_scratch("two");
  const std::string options = kThreeSteps + "--output-dir ";
  ASSERT_TRUE(run({options, one, " --gradient-accumulation-steps 2"}).ok());
  const auto free_port = [] {
    return std::to_string(Listener(0, Listener::Reach::this_host).port());
  };
  for (const bool mpi : {false, true}) {
    const std::string port = free_port();
    const auto started = [&](const std::string& rank) {
      return mpi ? run({"env OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=2",
                        "OMPI_COMM_WORLD_RANK=" + rank, "OMPI_COMM_WORLD_LOCAL_RANK=" + rank,
                        "MASTER_PORT=" + port, options, two})
                 : run({"env WORLD_SIZE=2 MASTER_ADDR=localhost", "RANK=" + rank,
                        "LOCAL_RANK=" + rank, "MASTER_PORT=" + port, options, two});
    };
    testing::expect_two_run(started);
    expect_same_adapter(one, two);
  }
  EXPECT_EQ(run({"env RANK=2 WORLD_SIZE=2 ", options, two}).exit_code, 2);
  EXPECT_EQ(run({"env RANK=x WORLD_SIZE=2 ", options, two}).exit_code, 2);
  EXPECT_EQ(run({"env SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NUM_NODES=2 ", options, two})
                .exit_code,
            2);  // on several hosts, and none is named
}

TEST(DataParallel, GoesOnBitForBit) {
  const std::string whole = in_scratch("whole"), again = in_scratch("again");
  const std::string options =
      kTrain + kRows + "--num-processes 2 --max-steps 6 --save-steps 3 --output-dir ";
  ASSERT_TRUE(run({options, whole}).ok());
  const testing::Ended resumed =
      run({options, again, " --resume-from-checkpoint ", whole + "/checkpoint-3"});
  ASSERT_TRUE(resumed.ok()) << resumed.output;
  const auto a = SafetensorsFile::open(whole + "/adapter_model.safetensors");
  const auto b = SafetensorsFile::open(again + "/adapter_model.safetensors");
  for (const TensorInfo& t : a.tensors()) {
    EXPECT_TRUE(testing::same_bytes(a.tensor(t.name), b.tensor(t.name))) << t.name;
  }
}

// SIGTERM to the one that started them: all end behind the same step, with one checkpoint.
TEST(DataParallel, StopsTogether) {
  const std::string out = in_scratch("out");
  const testing::Ended stopped = run({"timeout --preserve-status --signal TERM 1.5 ", kTrain, kRows,
                                      "--num-processes 2 --max-steps 100000 --output-dir ", out});
  EXPECT_EQ(stopped.exit_code, 143) << stopped.output;
  EXPECT_NE(stopped.output.find("to go on:"), std::string::npos) << stopped.output;
  const std::size_t at = stopped.output.find("stopped after step ");
  ASSERT_NE(at, std::string::npos) << stopped.output;
  const std::string step = std::to_string(std::stoi(stopped.output.substr(at + 19)));
  const Json state = Json::read(out + "/checkpoint-" + step + "/trainer_state.json");
  EXPECT_EQ(std::to_string(state.at("global_step").as_integer()), step);
}

}  // namespace
}  // namespace qlora
