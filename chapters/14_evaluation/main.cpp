// Chapter 14: evaluation. `evaluate` compares base and tuned model, `items` draws price items.
#include "course/provenance.h"
#include "course/run.h"
#include "lesson.h"
#include "verbs.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch14_evaluation",
                  "How good a tuned model is, beside its base and trivial answers.");

  std::string results;
  options.add("--json", results, "write the figures there").value_name("FILE");
  options.action([&] { write_results(results, print_yardsticks()); });

  EvaluateOptions e;
  for (int i = 0; i < argc; ++i) e.command += (i > 0 ? " " : "") + std::string(argv[i]);
  Options& evaluate =
      options.verb("evaluate", "Loss, error and hit rate on a data set with prices.");
  add_model_options(evaluate, e.model);
  add_adapter_option(evaluate, e.model);
  evaluate.add("--data", e.data, "JSONL of prompts and priced completions")
      .required()
      .value_name("FILE");
  evaluate.add("--train-data", e.train_data, "what the trivial predictors know").value_name("FILE");
  evaluate.add("--report", e.report, "folder for report.json and report.md")
      .required()
      .value_name("DIR");
  evaluate.add("--seed", e.seed, "of the confidence intervals").at_least(0);
  evaluate.add("--json", e.json, "write report.json there too").value_name("FILE");
  evaluate.action([&] { run_evaluate(e); });

  ItemsOptions i;
  Options& items = options.verb("items", "Draws price items from the rule.");
  items.add("--seed", i.seed, "of the draw").required().at_least(0);
  items.add("--count", i.count, "items").required().at_least(1);
  items.add("--output", i.output, "JSONL to write").required().value_name("FILE");
  items.action([&] { run_items(i); });
  return run(argc, argv, options);
}
