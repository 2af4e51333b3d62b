// `pretrain`, in one process and in several; a small corpus and few steps.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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

// Two entries of each of WordNet's files, a Bible of two verses, some hundred products.
std::string sources() {
  const std::filesystem::path wordnet = scratch() / "wordnet";
  std::filesystem::create_directories(wordnet);
  for (const char* part : {"adj", "adv", "noun", "verb"}) {
    std::ofstream file(wordnet / (std::string("data.") + part));
    file << "00000001 06 n 02 kettle 0 boiler 0 000 | a metal pot for " << part << " boiling\n"
         << "00000002 06 n 01 lamp 0 000 | a source of light; \"the " << part << " lamp\"\n";
  }
  std::ofstream(scratch() / "bible.txt") << "Ge1:1 In the beginning\nGe1:2 And the earth\n";
  return " --wordnet " + wordnet.string() + " --bible " + in_scratch("bible.txt") +
         " --product-descriptions 400 ";
}

// A run of some steps into a folder that has the embedded tokenizer.
std::string command(const std::string& folder, const std::string& options) {
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(QLORA_TINY_LLAMA "/tokenizer.model", folder + "/tokenizer.model",
                             std::filesystem::copy_options::overwrite_existing);
  return QLORA_BIN "/ch17_full_finetuning_and_many_gpus pretrain --output-dir " + folder +
         sources() + "--batch-size 4 --block-length 32 --learning-rate 1e-3 " + options;
}

testing::Ended run(const std::string& line) {
  return testing::run_process(testing::shell_words(line), scratch().string(), 120);
}

// Whether two runs came to the same float32 weights, to the rounding of sums that were added in
// another order: 2^-24 of a gradient's terms, which AdamW's step, g / (|g| + 1e-8) at most, makes
// into some hundredths of a step of 1e-3.
void expect_same_model(const std::string& one, const std::string& other, const std::string& steps) {
  const std::string weights = "/checkpoints/checkpoint-" + steps + "/model.safetensors";
  const auto a = SafetensorsFile::open(one + weights), b = SafetensorsFile::open(other + weights);
  ASSERT_GT(a.tensors().size(), 50u);
  for (const TensorInfo& t : a.tensors()) {
    const Tensor x = a.tensor(t.name), y = b.tensor(t.name);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      ASSERT_TRUE(is_close(y.data<float>()[i], x.data<float>()[i], 5e-5)) << t.name;
    }
  }
  const Json first = Json::read(one + "/pretraining.json");
  const Json second = Json::read(other + "/pretraining.json");
  EXPECT_EQ(first.at("tokens_seen").as_integer(), second.at("tokens_seen").as_integer());
  for (const char* loss : {"held_out_loss", "train_loss_of_the_last_100_steps"}) {
    EXPECT_TRUE(is_close(second.at(loss).as_number(), first.at(loss).as_number(), 1e-3)) << loss;
  }
}

TEST(Pretrain, SeveralProcessesAreTheRunOfOne) {
  const std::string one = in_scratch("one");
  const auto alone = run(command(one, "--max-steps 6"));
  ASSERT_TRUE(alone.ok()) << alone.output;
  // It has learned: at random weights the loss is log 2048 = 7.62.
  EXPECT_LT(Json::read(one + "/pretraining.json").at("held_out_loss").as_number(), 7.5);
  for (const std::string P : {"2", "4"}) {
    const std::string several = in_scratch("several" + P);
    const auto ended = run(command(several, "--max-steps 6 --num-processes " + P));
    ASSERT_TRUE(ended.ok()) << ended.output;
    expect_same_model(one, several, "6");
  }
}

// torchrun's variables, mpirun's and srun's.
TEST(Pretrain, TakesItsPlaceFromTheEnvironment) {
  const std::string one = in_scratch("one");
  ASSERT_TRUE(run(command(one, "--max-steps 2")).ok());
  const std::string environments[] = {
      "WORLD_SIZE=2 MASTER_ADDR=localhost LOCAL_RANK=%d RANK=%d",
      "OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=2 OMPI_COMM_WORLD_RANK=%d",
      "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NUM_NODES=1 SLURM_PROCID=%d"};
  for (const std::string& environment : environments) {
    const std::string two = in_scratch("two");
    const std::string line = command(two, "--max-steps 2");
    const std::string port = std::to_string(Listener(0, Listener::Reach::this_host).port());
    const auto started = [&](const std::string& rank) {
      std::string place = environment;
      for (std::size_t at; (at = place.find("%d")) != std::string::npos;)
        place.replace(at, 2, rank);
      return run("env " + place + " MASTER_PORT=" + port + " " + line);
    };
    testing::expect_two_run(started);
    expect_same_model(one, two, "2");
  }
}

TEST(Pretrain, BlocksThatCannotBeSharedEquallyAreRefused) {
  const auto ended = run(command(in_scratch("odd"), "--max-steps 2 --num-processes 3"));
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_NE(ended.output.find("--batch-size 4"), std::string::npos) << ended.output;
}

// A finished run has nothing left to do, and says what it said.
TEST(Pretrain, ResumeOfAFinishedRunWritesItsFilesAgain) {
  const std::string folder = in_scratch("finished");
  const auto held_out = [&] {
    return Json::read(folder + "/pretraining.json").at("held_out_loss").as_number();
  };
  ASSERT_TRUE(run(command(folder, "--max-steps 2")).ok());
  const double before = held_out();
  const auto again = run(command(folder, "--max-steps 2 --resume"));
  ASSERT_TRUE(again.ok()) << again.output;
  EXPECT_EQ(held_out(), before);
}

TEST(Pretrain, ASignalStopsAllBehindACheckpoint) {
  const std::string folder = in_scratch("stopped");
  const std::string line = command(folder, "--max-steps 100000 --num-processes 2");
  const auto stopped = run("timeout --preserve-status --signal TERM 5 " + line);
  EXPECT_EQ(stopped.exit_code, 143) << stopped.output;
  const std::string says = "stopped after step ";
  const std::size_t at = stopped.output.find(says);
  ASSERT_NE(at, std::string::npos) << stopped.output;
  const int step = std::stoi(stopped.output.substr(at + says.size()));
  const Json state = Json::read(folder + "/checkpoints/checkpoint-" + std::to_string(step) +
                                "/trainer_state.json");
  EXPECT_EQ(state.at("global_step").as_integer(), step);
}

}  // namespace
}  // namespace qlora
