// Chapter 14: evaluation. Without a verb the lesson; `evaluate` compares base and tuned model,
// `items` draws price items.
#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "lesson.h"
#include "text/prices.h"
#include "verbs.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch14_evaluation",
                  "How good a tuned model is, beside its base and trivial answers.");

  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter14::tell(); },
                [](Ledger& ledger) { chapter14::fill_claims(ledger); }, chapter14::draw},
               lesson);
  });

  EvaluateOptions e;
  for (int i = 0; i < argc; ++i) e.command += (i > 0 ? " " : "") + std::string(argv[i]);
  Options& evaluate =
      options.verb("evaluate",
                   "Loss and perplexity on any data set; with prices also error and hit rate. With "
                   "--adapter the tuned model stands beside its base, of several adapters each "
                   "alone too.");
  add_model_options(evaluate, e.model);
  add_adapter_option(evaluate, e.model);
  evaluate
      .add("--data", e.data,
           "JSONL: prompt and completion, instruction and output, text, or messages")
      .required()
      .value_name("FILE");
  evaluate.add("--train-data", e.train_data, "what the trivial predictors of a price know")
      .value_name("FILE");
  evaluate.add("--report", e.report, "folder for report.json and report.md")
      .required()
      .value_name("DIR");
  evaluate
      .add("--date-string", e.date_string,
           "the day that Llama 3.1's and 3.2's chat template names; default: its own, 26 Jul 2024")
      .value_name("TEXT");
  evaluate.add("--seed", e.seed, "of the confidence intervals").at_least(0);
  evaluate.add("--json", e.json, "write report.json there too").value_name("FILE");
  evaluate.action([&] { run_evaluate(e); });

  ItemsOptions i;
  Options& items = options.verb("items", "Draws price items from the rule.");
  items.add("--seed", i.seed, "of the draw").required().at_least(0);
  items.add("--count", i.count, "items")
      .required()
      .must("be 1 to " + std::to_string(kMostPriceItems),
            [](double n) { return n >= 1 && n <= static_cast<double>(kMostPriceItems); });
  items.add("--output", i.output, "JSONL to write").required().value_name("FILE");
  items.add("--json", i.json, "write what was done there").value_name("FILE");
  items.action([&] { run_items(i); });
  return run(argc, argv, options);
}
