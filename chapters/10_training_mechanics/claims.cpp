#include "claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "course/text.h"
#include "lora/lora.h"
#include "quantization/formats.h"
#include "training/schedule.h"
#include "training/step_plan.h"

namespace qlora::chapter10 {
namespace {

// |x| after so many steps of gradient descent on x²/2 from 1.
double descended(double rate, int steps) {
  double x = 1.0;
  for (int s = 0; s < steps; ++s) x -= rate * x;
  return std::abs(x);
}

// What an adapter multiplies an input by that its dropout keeps: measured, on ones.
double kept_times(double p) {
  constexpr std::int64_t T = 1000;
  const std::vector<float> ones(T, 1.0f);
  std::vector<float> scratch(T), u(T), y(T);
  const float one = 1.0f;
  lora_forward<float>({1, 1, 1, &one, &one, 1.0f}, T, ones.data(),
                      {static_cast<float>(p), Random{10, 2}}, scratch.data(), u.data(), y.data(),
                      1);
  return double{*std::ranges::max_element(u)};
}

void stages(Ledger& ledger, const CourseInputs& in) {
  ledger.test("TR-01", "DecoderGradients.OfEveryWeightInFullTraining");
  constexpr int kSteps = 50;
  const double stable = descended(in.stable_rate, kSteps);
  const double unstable = descended(in.unstable_rate, kSteps);
  ledger.checked("TR-02",
                 fmt::format("x²/2 from x = 1, {} steps: |x| = {:.2g} with lr {}, {:.2g} with {}",
                             kSteps, stable, in.stable_rate, unstable, in.unstable_rate),
                 stable < 1.0 && unstable > 1.0);
  ledger.test("TR-13", "GoldenAccumulation.TokensOfTheWholeWindowCount");
  ledger.test("TR-14", "Trainer.CheckpointingGivesTheSameRunBitForBit");
  ledger.test("TR-16", "GoldenGradient.OfABf16ModelPointsTheSameWay");
}

void schedules(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t T = in.max_steps, W = warmup_steps(in.warmup_ratio, T);
  const auto rate = [&](std::int64_t s) {
    return in.learning_rate * lr_factor(in.scheduler, s, W, T);
  };
  ledger.checked("TR-03",
                 fmt::format("lr(0) = {:.3g}, lr({}) = {:.3g}, lr({}) = {:.3g}, of {} steps",
                             rate(0), W / 2, rate(W / 2), W, rate(W), T),
                 rate(0) == 0.0 && rate(W) == in.learning_rate && rate(W - 1) < in.learning_rate);
  ledger.number("TR-04", static_cast<double>(W));
  // At the quarters of what is left, whatever the number of steps.
  std::vector<std::string> factors;
  for (std::int64_t quarter = 0; quarter <= 4; ++quarter) {
    factors.push_back(
        fmt::format("{:.4f}", lr_factor(in.scheduler, W + quarter * T, W, W + 4 * T)));
  }
  ledger.checked("TR-06", fmt::format("at p = 0, 1/4, 1/2, 3/4, 1: {}", joined(factors)),
                 std::abs(lr_factor(in.scheduler, W + T, W, W + 4 * T) - 0.8536) < 5e-5 &&
                     lr_factor(in.scheduler, W + 4 * T, W, W + 4 * T) < 1e-15);
}

void arguments(Ledger& ledger, const CourseInputs& in) {
  for (const char* id : {"TR-08", "TR-09", "TR-10", "TR-12"}) {
    ledger.test(id, "CourseArguments.AreTakenByTheTrainer");
  }
  const FloatFormat a = float_format(in.autocast), b = float_format(in.compute);
  const FloatFormat& narrow = a.largest() < b.largest() ? a : b;
  const FloatFormat& wide = a.largest() < b.largest() ? b : a;
  ledger.checked(
      "TR-11",
      fmt::format("two formats: {} ends at {:.3g}, {} at {:.3g}; a value of 1e5 that one layer "
                  "keeps is infinite in the next. One of the two: fp16 with float16 on a T4, bf16 "
                  "with bfloat16 from Ampere on",
                  narrow.name, narrow.largest(), wide.name, wide.largest()),
      in.autocast != in.compute && narrow.largest() < 1e5 && wide.largest() > 1e5);
  ledger.test("TR-15", "CourseTrainer.ATextColumnNeedsATokenizerAndLabels");
  const std::vector<TokenizedExample> data(static_cast<std::size_t>(in.samples));
  TrainingArguments arguments;
  arguments.per_device_train_batch_size = in.batch_size;
  arguments.gradient_accumulation_steps = in.accumulation;
  ledger.number("TR-17", static_cast<double>(StepPlan(data, arguments).steps_per_epoch()));
  const double kept = kept_times(in.dropout);
  ledger.checked(
      "TR-18",
      fmt::format("{} % of A's input dropped, the rest times {:.4f}", 100 * in.dropout, kept),
      std::abs(kept * (1.0 - in.dropout) - 1.0) < 1e-6);
}

std::int64_t adapters(const CourseInputs& in, const std::vector<std::string>& names,
                      std::int64_t R) {
  LoraConfig config;
  config.r = R;
  config.target_modules = names;
  return lora_parameters(adapter_shapes(config, stacked(in.layer, in.layers)));
}

void sizes(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t trained = adapters(in, {"q_proj", "k_proj", "v_proj", "o_proj"}, in.rank);
  const std::int64_t base = decoder_parameters(in.layer, in.layers, in.hidden, in.vocabulary, true);
  ledger.checked("TR-19",
                 fmt::format("{:.1f} MB in float32, {:.1f} MB in 16 bits, beside {:.2f} GB",
                             4e-6 * static_cast<double>(trained),
                             2e-6 * static_cast<double>(trained), 4e-9 * static_cast<double>(base)),
                 100 * trained < base);
  const std::int64_t with_mlp = adapters(
      in, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}, in.rank);
  ledger.number("TR-20", static_cast<double>(with_mlp) / static_cast<double>(trained));
}

// What arithmetic begins and only runs of the real model decide.
void runs(Ledger& ledger) {
  ledger.not_checkable(
      "TR-05",
      "Stability is a matter of model, data and learning rate, and shows only over runs with "
      "several seeds.",
      "./course run 12 train --model DIR --data FILE --logging-steps 1 --seed S with "
      "--warmup-steps 0 and with --warmup-steps 0.1, for at least three S; compare loss and "
      "grad_norm of the first steps in trainer_state.json");
  ledger.not_checkable(
      "TR-07",
      "Both curves are arithmetic [TR-06]; which of them lets a model converge more smoothly is "
      "not, and takes runs of the real model.",
      "./course run 12 train --model DIR --data FILE --eval-data HELD_OUT --eval-steps 50 --seed S "
      "with --lr-scheduler-type cosine and with linear, for at least three S; compare eval_loss in "
      "trainer_state.json");
  ledger.not_checkable(
      "TR-17",
      "The steps are exact; whether so many samples are a good start shows in the learning curve "
      "of the real model on the real task.",
      "./course run 12 train --model DIR --data FILE --output-dir ADAPTER with the first 5,000, "
      "10,000, 20,000 and 40,000 rows, and ./course run 14 evaluate --model DIR --quantize nf4 "
      "--double-quant --adapter ADAPTER --data HELD_OUT --report REPORT of each");
  ledger.not_checkable(
      "TR-20",
      "How many more parameters there are is exact; what they gain in quality and cost in time "
      "takes runs of the real model.",
      "./course run 12 experiment targets --model DIR (without --model the embedded model "
      "answers); for the speed ./course run 12 train --model DIR --data FILE --max-steps 20 with "
      "--target-modules q_proj,k_proj,v_proj,o_proj and with all-linear, which prints the median "
      "step");
}

}  // namespace

void fill_claims(Ledger& ledger, const CourseInputs& inputs) {
  stages(ledger, inputs);
  schedules(ledger, inputs);
  arguments(ledger, inputs);
  sizes(ledger, inputs);
  runs(ledger);
}

}  // namespace qlora::chapter10
