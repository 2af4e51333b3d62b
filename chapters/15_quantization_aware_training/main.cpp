// Chapter 15: quantization-aware training. Without a verb the lesson; `experiment` runs what takes
// longer than a lesson.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "experiments.h"
#include "figures.h"
#include "lesson.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch15_quantization_aware_training",
                  "Quantized after training, or in every forward pass of it.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter15::tell(); },
                [](Ledger& ledger) { chapter15::fill_claims(ledger); }, chapter15::draw},
               lesson);
  });

  ExperimentOptions e;
  PriceRun run;
  run.dtype = "float32";  // master weights are trained as they lie
  run.items = 20000;
  run.learning_rate = 1e-3;
  Options& experiment = options.verb("experiment", "Runs over several seeds: network, decoder.");
  Options& network = experiment.verb(
      "network", "Chapter 1's network in 8 to 2 bits, quantized after or while training.");
  add_experiment_options(network, e);
  network.action([&] { run_experiment(chapter15::network_experiment(), e); });
  Options& decoder = experiment.verb(
      "decoder",
      "The embedded model on the price items, all weights trained: PTQ against QAT in NF4, int4, "
      "int3 and int2.");
  add_experiment_options(decoder, e);
  decoder.add("--device", run.device, "where to compute").choices({"auto", "cpu", "cuda"});
  decoder.add("--items", run.items, "training items to see").at_least(1);
  decoder.add("--learning-rate", run.learning_rate, "at its peak");
  decoder.add("--batch-size", run.batch_size, "items a step").at_least(1);
  decoder.action([&] { run_experiment(chapter15::decoder_experiment(run), e); });
  return qlora::run(argc, argv, options);
}
