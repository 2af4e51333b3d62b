#include "claims.h"

#include <fmt/format.h>

#include <ctime>
#include <iomanip>
#include <optional>
#include <sstream>

namespace qlora::chapter14 {
namespace {

std::optional<std::tm> time_read(const std::string& text, const std::string& pattern) {
  std::istringstream in(text);
  std::tm time{};
  in >> std::get_time(&time, pattern.c_str());
  if (in.fail() || in.peek() != std::istringstream::traits_type::eof()) return std::nullopt;
  return time;
}

std::string time_written(const std::tm& time, const std::string& pattern) {
  std::ostringstream out;
  out << std::put_time(&time, pattern.c_str());
  return out.str();
}

// A run's name is its time; two runs have two names, and a name says when its run began.
void run_name(Ledger& ledger, const CourseInputs& in) {
  constexpr const char* kIso = "%Y-%m-%dT%H:%M:%S";
  const std::tm started = time_read(in.started, kIso).value_or(std::tm{});
  const std::string run = time_written(started, in.run_pattern);
  const auto again = time_read(run, in.run_pattern);
  ledger.checked("EV-01", in.project + "-" + run,
                 again && time_written(*again, kIso) == in.started);
}

void lite_mode(Ledger& ledger, const CourseInputs& in) {
  const auto text = [](bool on) { return on ? "True" : "False"; };
  const bool lite_run = in.inspected_run.ends_with("-lite");
  ledger.checked(
      "EV-03",
      fmt::format("{} where the data are chosen, {} where they are trained on; the inspected run "
                  "{} a -lite one",
                  text(in.lite_mode), text(in.lite_mode_of_training), lite_run ? "is" : "is not"),
      in.lite_mode != in.lite_mode_of_training && in.lite_mode != lite_run);
}

std::string rows_of(const std::string& data_set) {
  return "python3 -c \"from datasets import load_dataset; print(load_dataset('ed-donner/" +
         data_set + "'))\"";
}

void on_the_hub(Ledger& ledger) {
  ledger.not_checkable("EV-02",
                       "The two data sets are on the hub; the price items in data/prices stand in.",
                       rows_of("items_prompts_lite") + " and " + rows_of("items_prompts_full") +
                           ", written out with to_json() for ./course run 14 evaluate --data FILE");
  ledger.not_checkable("EV-04", "How many rows the lite data set has is known on the hub alone.",
                       rows_of("items_prompts_lite") + " prints num_rows of each split");
  ledger.not_checkable("EV-05", "How many rows the full data set has is known on the hub alone.",
                       rows_of("items_prompts_full") + " prints num_rows of each split; EV-04's " +
                           "is the number to hold it against");
}

}  // namespace

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  run_name(ledger, in);
  lite_mode(ledger, in);
  on_the_hub(ledger);
  ledger.not_checkable(
      "EV-08", "It is said of many models and tasks; one of them settles it for that one alone.",
      "./course run 17 experiment forgetting has base, full fine-tuning and LoRA on the embedded "
      "model; with a checkpoint of your own ./course run 12 train --model DIR --quantize "
      "none --data FILE --output-dir ADAPTER, full fine-tuning of it by transformers' Trainer, "
      "saved to FULL, and "
      "./course run 14 evaluate --model DIR --adapter ADAPTER --data HELD_OUT --report REPORT "
      "against evaluate --model FULL");
  ledger.test("EV-06", "EvaluateVerb.TheProjectEndToEnd");
  ledger.test("EV-07", "EvaluateVerb.TheDeliverablesCanBeUsed");
  ledger.test("EV-09", "EvaluateVerb.PutsBaseBesideTunedOnHeldOutItems");
  ledger.test("EV-10", "Chapter14.EverySuccessCriterionHasItsExercise");
}

}  // namespace qlora::chapter14
