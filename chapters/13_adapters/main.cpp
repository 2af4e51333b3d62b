// Chapter 13: adapters. Without a verb the lesson; merge and inspect are the tool.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "verbs.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch13_adapters", "Adapters: saved, loaded, merged, switched, combined.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter13::tell(); },
                [](Ledger& ledger) { chapter13::fill_claims(ledger); }, chapter13::draw},
               lesson);
  });

  MergeOptions m;
  Options& merge = options.verb(
      "merge",
      "Merges adapters into a model folder, in the order given; without --model they are combined "
      "into one adapter, as PEFT's add_weighted_adapter does.");
  merge.add("--model", m.model, "a Hugging Face model folder").value_name("DIR");
  merge.add("--adapter", m.adapters, "a PEFT folder; may be given several times").value_name("DIR");
  merge.add("--weights", m.weights, "what each adapter counts; default: 1 each")
      .comma_separated()
      .value_name("W");
  merge
      .add("--combination-type", m.combination_type,
           "combine the adapters first: how; default: svd, and with --model one after another")
      .choices({"linear", "cat", "svd"});
  merge.add("--svd-rank", m.svd_rank, "rank of svd; default: the largest of the adapters");
  merge.add("--dtype", m.dtype, "of the merged model; default: the one it has")
      .choices({"float32", "float16", "bfloat16"});
  merge.add("--requantize", m.requantize, "quantize the merged layers as the folder had them");
  merge.add("--output", m.output, "the folder to write").required().value_name("DIR");
  merge.add("--json", m.json, "write what was done there").value_name("FILE");
  merge.action([&] { run_merge(m); });

  std::string adapter;
  std::optional<std::string> json;
  Options& inspect = options.verb("inspect", "Prints what an adapter folder holds.");
  inspect.add("--adapter", adapter, "a PEFT folder").required().value_name("DIR");
  inspect.add("--json", json, "write it there, too").value_name("FILE");
  inspect.action([&] { run_inspect(adapter, json); });
  return run(argc, argv, options);
}
