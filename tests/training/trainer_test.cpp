// The training loop: accumulation, checkpointing, resuming, stopping, what stays as it was.
#include "training/trainer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/files.h"
#include "training/evaluation_loss.h"
#include "training/small_run.h"

namespace qlora {
namespace {

using testing::expect_equal_adapters;
using testing::golden;
using testing::losses_of;
using testing::rows;
using testing::same_bytes;
using testing::scratch;
using Fixture = testing::SmallRun;

namespace fs = std::filesystem;

TEST(Trainer, LearnsItsRows) {
  Fixture s;
  s.arguments.max_steps = 60;
  const auto losses = losses_of(s);
  EXPECT_LT(losses.back(), 0.7 * losses.front());
}

TEST(Trainer, CheckpointingGivesTheSameRunBitForBit) {
  Fixture plain, checkpointing;
  checkpointing.arguments.activations = ActivationPolicy::checkpoint;
  EXPECT_EQ(losses_of(plain), losses_of(checkpointing));
  expect_equal_adapters(plain.model, checkpointing.model);
}

TEST(Trainer, TheBaseStaysAsItWas) {
  Fixture s;
  const LlamaModel before = load_model(golden("llama_nf4/a"));
  losses_of(s);
  const auto same_bytes = [](const Tensor& ours, const Tensor& theirs) {
    return testing::same_bytes(ops::host_copy(ours), theirs);
  };
  for (std::size_t l = 0; l < before.layers.size(); ++l) {
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& a = s.model.layers[l].qkv.parts[i].quantized;
      const auto& b = before.layers[l].qkv.parts[i].quantized;
      if (!a || !b) FAIL() << "the base is in NF4";
      EXPECT_TRUE(same_bytes(a->packed, b->packed));
      EXPECT_TRUE(same_bytes(a->absmax, b->absmax));
      EXPECT_TRUE(same_bytes(a->nested_absmax, b->nested_absmax));
    }
    EXPECT_TRUE(same_bytes(s.model.layers[l].input_layernorm, before.layers[l].input_layernorm));
  }
  EXPECT_TRUE(same_bytes(s.model.embed_tokens, before.embed_tokens));
  EXPECT_TRUE(same_bytes(s.model.norm, before.norm));
}

TEST(Trainer, AResumedRunIsTheUninterruptedOneBitForBit) {
  Fixture whole;
  const auto expected = losses_of(whole);
  for (std::int64_t stop : {1, 4, 8}) {
    const std::string folder = (scratch() / std::to_string(stop)).string();
    Fixture first;
    auto losses = losses_of(first, folder, std::nullopt, stop);
    ASSERT_EQ(static_cast<std::int64_t>(losses.size()), stop);
    Fixture second;
    for (double loss : losses_of(second, folder, newest_checkpoint(folder))) losses.push_back(loss);
    EXPECT_EQ(losses, expected);
    expect_equal_adapters(second.model, whole.model);
  }
}

TEST(Trainer, DoraLearnsAndResumesBitForBit) {
  for (const bool dropout : {false, true}) {
    Fixture whole(dropout, true), first(dropout, true), second(dropout, true);
    const Tensor before = ops::host_copy(whole.model.layers[0].o.parts[0].adapters[0].magnitude);
    const auto expected = losses_of(whole);
    EXPECT_LT(expected.back(), expected.front());
    EXPECT_FALSE(testing::same_bytes(
        ops::host_copy(whole.model.layers[0].o.parts[0].adapters[0].magnitude), before));
    const std::string folder = (scratch() / (dropout ? "with" : "without")).string();
    auto losses = losses_of(first, folder, std::nullopt, 4);
    for (double loss : losses_of(second, folder, newest_checkpoint(folder))) losses.push_back(loss);
    EXPECT_EQ(losses, expected);
    expect_equal_adapters(second.model, whole.model);
    Fixture checkpointing(dropout, true);
    checkpointing.arguments.activations = ActivationPolicy::checkpoint;
    EXPECT_EQ(losses_of(checkpointing), expected);
  }
}

// Adapters of rank 64: most of their matrices have 4,096 elements and more, those of k_proj's and
// v_proj's B have not.
Fixture run_in_8bit() {
  Fixture s;
  s.lora.r = 64;
  s.model = testing::golden_model("llama_nf4/a");
  attach_lora(s.model, s.lora, 5);
  s.arguments.optim = Optim::adamw_8bit;
  return s;
}

TEST(Trainer, MomentsIn8BitsLearnAndAreResumedBitForBit) {
  const std::string folder = scratch().string();
  Fixture whole = run_in_8bit();
  const auto expected = losses_of(whole);
  EXPECT_LT(expected.back(), expected.front());
  Fixture first = run_in_8bit();
  auto losses = losses_of(first, folder, std::nullopt, 4);
  const auto file =
      SafetensorsFile::open(newest_checkpoint(folder).value_or("") + "/optimizer.safetensors");
  const std::string layer = "base_model.model.model.layers.0.self_attn.k_proj.lora_";
  EXPECT_EQ(file.tensor(layer + "A.weight.state1").dtype(), DType::u8);
  EXPECT_EQ(file.tensor(layer + "A.weight.absmax2").numel(), 16);
  EXPECT_EQ(file.tensor(layer + "B.weight.exp_avg").dtype(), DType::f32);
  Fixture second = run_in_8bit();
  for (double loss : losses_of(second, folder, newest_checkpoint(folder))) losses.push_back(loss);
  EXPECT_EQ(losses, expected);
  expect_equal_adapters(second.model, whole.model);
  Fixture other = run_in_8bit();
  other.arguments.optim = Optim::adamw_torch;
  EXPECT_THROW(losses_of(other, folder, newest_checkpoint(folder)), BadInput);
}

TEST(Trainer, ResumingLogsTheSameHistory) {
  const std::string folder = scratch().string();
  Fixture whole;
  TrainingTask task = whole.task();
  const TrainingResult expected = train(task);
  Fixture first;
  losses_of(first, folder, std::nullopt, 5);
  Fixture second;
  TrainingTask rest = second.task(folder);
  const TrainingResult result = train(rest, {}, newest_checkpoint(folder));
  // all but the last entry, which has times in it
  const auto& a = result.state.log_history.as_array();
  const auto& b = expected.state.log_history.as_array();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i + 1 < a.size(); ++i)
    EXPECT_EQ(a[i].dump(-1, true), b[i].dump(-1, true));
}

TEST(Trainer, RefusesACheckpointOfOtherSettings) {
  const std::string folder = scratch().string();
  Fixture first;
  losses_of(first, folder, std::nullopt, 3);
  Fixture other;
  other.arguments.learning_rate = 2e-2;
  EXPECT_THROW(losses_of(other, folder, newest_checkpoint(folder)), BadInput);
  Fixture bigger;
  bigger.lora.r = 8;
  bigger.model = load_model(golden("llama_nf4/a"));
  attach_lora(bigger.model, bigger.lora, 5);
  EXPECT_THROW(losses_of(bigger, folder, newest_checkpoint(folder)), BadInput);
}

TEST(Trainer, ADamagedCheckpointIsRefused) {
  const std::string folder = scratch().string();
  Fixture first;
  losses_of(first, folder, std::nullopt, 3);
  const std::string checkpoint = newest_checkpoint(folder).value_or("");
  for (const char* name : {"optimizer.safetensors", "trainer_state.json", "resume.json"}) {
    const std::string path = checkpoint + "/" + name, whole = read_file(path);
    write_atomically(path, std::string_view(whole).substr(0, whole.size() / 2));
    Fixture s;
    EXPECT_THROW(losses_of(s, folder, checkpoint), BadInput) << name;
    write_atomically(path, whole);
  }
}

TEST(Trainer, KeepsTheNewestCheckpointsAlone) {
  const std::string folder = scratch().string();
  Fixture s;
  s.arguments.save_strategy = SaveStrategy::steps;
  s.arguments.save_steps = 2;
  s.arguments.save_total_limit = 2;
  losses_of(s, folder);
  EXPECT_FALSE(fs::exists(checkpoint_folder(folder, 6)));
  EXPECT_TRUE(fs::exists(checkpoint_folder(folder, 8)));
  EXPECT_TRUE(fs::exists(checkpoint_folder(folder, 9)));  // the last step is always saved
}

TEST(Trainer, EvaluatesBehindEachEpochAndTheLastStep) {
  Fixture s;  // three steps an epoch
  s.arguments.eval_each_epoch = true;
  s.arguments.max_steps = 7;
  TrainingTask task = s.task();
  task.eval = s.data;
  std::vector<std::int64_t> steps;
  const TrainingResult result = train(task);
  for (const Json& entry : result.state.log_history.as_array()) {
    if (entry.find("eval_loss") != nullptr) steps.push_back(entry.at("step").as_integer());
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{3, 6, 7}));
}

TEST(Trainer, ALossThatIsNotFiniteStopsTheRunAndNamesStepAndRows) {
  Fixture s;
  const Tensor norm = ops::host_copy(s.model.norm);
  norm.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  s.model.norm = ops::on(testing::test_device(), norm);
  try {
    losses_of(s);
    FAIL() << "a run with a NaN in its weights went on";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::check_failed);
    EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("rows"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("; this run has written no checkpoint"), std::string::npos)
        << e.what();
  }
}

TEST(Trainer, ALossThatIsNotFiniteNamesTheCheckpointThatIsKept) {
  Fixture s;
  s.arguments.save_strategy = SaveStrategy::steps;
  s.arguments.save_steps = 1;
  TrainingTask task = s.task(scratch().string());
  TrainingEvents events;
  events.on_step = [&](const StepReport& r) {
    if (r.step == 2) ops::fill_bytes(s.model.norm, 0xff);  // NaNs
  };
  try {
    train(task, events);
    FAIL() << "a run with a NaN in its weights went on";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("/checkpoint-2 is kept"), std::string::npos) << e.what();
  }
}

TEST(Trainer, TheBestModelComesBackAtTheEnd) {
  const std::string folder = scratch().string();
  Fixture s(false);
  s.arguments.max_steps = 40;
  s.arguments.learning_rate = 5e-2;  // overshoots: the last step is not the best
  s.arguments.eval_steps = 5;
  s.arguments.load_best_model_at_end = true;
  const auto held_out = rows(30);
  TrainingTask task = s.task(folder);
  task.eval = std::span(held_out).last(7);
  const TrainingResult result = train(task);
  Arena arena = testing::test_arena();
  const double loss = evaluation_loss(s.model, task.eval, 8, 0, arena);
  EXPECT_EQ(result.state.best_metric, loss);
}

TEST(StepPlan, CoversEveryRowOfAnEpochOnce) {
  Fixture s;
  s.arguments.max_steps = -1;
  s.arguments.num_train_epochs = 2;
  for (const bool grouped : {false, true}) {
    s.arguments.group_by_length = grouped;
    StepPlan plan(s.data, s.arguments);
    EXPECT_EQ(plan.steps_per_epoch(), 3);  // 23 rows: 6 micro-batches of 4, 2 a step
    EXPECT_EQ(plan.total_steps(), 6);
    for (std::int64_t epoch : {0, 1}) {
      std::vector<int> seen(23, 0);
      for (std::int64_t step = 0; step < 3; ++step) {
        for (const auto& batch : plan.micro_batches(3 * epoch + step)) {
          for (std::int64_t row : batch) ++seen[static_cast<std::size_t>(row)];
        }
      }
      EXPECT_EQ(seen, std::vector<int>(23, 1));
    }
  }
}

}  // namespace
}  // namespace qlora
