#include "lesson.h"

#include <fmt/format.h>

#include "evaluation/data.h"
#include "support/evaluation.h"
#include "support/model_options.h"

namespace qlora {
namespace {

PricedPrompts embedded(const std::string& name) {
  const std::string path = data_folder() + "/prices/" + name + ".jsonl";
  const std::vector<Example> rows = read_dataset(path);
  PricedPrompts out;
  out.prices = prices_of(rows, path);
  for (const Example& row : rows) out.prompts.push_back(row.prompt);
  return out;
}

}  // namespace

Json print_yardsticks() {
  const PricedPrompts training = embedded("train"), test = embedded("test");
  Report report;
  add_predictors(report, training, test, 0);
  fmt::print("What answers are worth without a language model, on {} test items:\n\n{}\n",
             test.prompts.size(), report_table(report));
  fmt::print(
      "A tuned model has to beat the first four; nothing beats the noise floor on average.\n"
      "ch14_evaluation evaluate --help compares a base and its adapters.\n");
  return report_json(report);
}

}  // namespace qlora
