#include "lesson.h"

#include <fmt/format.h>

#include <cmath>

#include "course/table.h"
#include "evaluation/metrics.h"
#include "measurements.h"
#include "support/evaluation.h"

namespace qlora::chapter14 {
namespace {

std::string ends(const Interval& i) {
  return fmt::format("{:.1f} to {:.1f}", i.low, i.high);
}

Json interval_json(const Interval& i) {
  return Json::Array{Json(i.low), Json(i.high)};
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

Json tell_yardsticks(const Items& items) {
  Report report;
  add_predictors(report, items.training, items.test, 0);
  fmt::print("Answers without a language model, on {} test items:\n{}\n", items.test.prompts.size(),
             report_table(report));
  return report_json(report);
}

Json tell_figures(const Items& items) {
  Table table({"two ways to be wrong", "MAE $", "within 20 %"}, "lrr");
  Json rows = Json::array();
  for (const Answers& a : ways_to_be_wrong(items.test)) {
    table.add({a.name, fmt::format("{:.2f}", a.mae), percent(a.hit_rate)});
    Json row = Json::object();
    row["mae"] = a.mae;
    row["hit_rate"] = a.hit_rate;
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_likelihood() {
  const Likelihood l = likelihood();
  Table table(
      {"the base model's 100 answers", "tokens", "loss a token", "perplexity", "nats a character"},
      "lrrrr");
  Json rows = Json::array();
  const auto add = [&](const char* words, double tokens) {
    const double loss = l.nats / tokens;
    table.add({words, fmt::format("{:.2f}", tokens), fmt::format("{:.3f}", loss),
               fmt::format("{:.1f}", perplexity_of(loss)),
               fmt::format("{:.3f}", l.nats / l.characters)});
    Json row = Json::object();
    row["tokens"] = tokens;
    row["loss"] = loss;
    rows.push_back(std::move(row));
  };
  add("each digit a token, and the end", l.tokens);
  add("as if each number were one token", 2.0);
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_narrowing(const Items& items) {
  Table table({"nearest neighbor on the first", "MAE $", "95 % interval", "width", "width · √n"},
              "lrrrr");
  Json rows = Json::array();
  for (const Narrowing& n : narrowing(items)) {
    const double width = n.ci95.high - n.ci95.low;
    table.add({fmt::format("{} items", n.n), fmt::format("{:.2f}", n.mae), ends(n.ci95),
               fmt::format("{:.1f}", width),
               fmt::format("{:.0f}", width * std::sqrt(static_cast<double>(n.n)))});
    Json row = Json::object();
    row["items"] = static_cast<std::int64_t>(n.n);
    row["mae"] = n.mae;
    row["mae_ci95"] = interval_json(n.ci95);
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_coverage(const Items& items) {
  Table table({"200 samples of", "interval holds the true MAE", "holds a hit rate of 3 %",
               "samples without a hit"},
              "lrrr");
  Json rows = Json::array();
  for (const Coverage& c : coverage(items.training)) {
    table.add({fmt::format("{} items", c.n), percent(c.of_mae), percent(c.of_hits),
               percent(c.without_hit)});
    Json row = Json::object();
    row["items"] = static_cast<std::int64_t>(c.n);
    row["of_mae"] = c.of_mae;
    row["of_hits"] = c.of_hits;
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_comparing(const Items& items) {
  Table table({"neighbor - category mean", "MAE $", "item by item", "each by itself", "closer"},
              "lrrrr");
  Json rows = Json::array();
  for (const Comparing& c : comparing(items)) {
    table.add({fmt::format("{} items", c.n), fmt::format("{:+.2f}", c.paired.value),
               ends(c.paired.ci95), ends(c.unpaired), percent(c.paired.better)});
    Json row = Json::object();
    row["items"] = static_cast<std::int64_t>(c.n);
    row["difference"] = c.paired.value;
    row["paired_ci95"] = interval_json(c.paired.ci95);
    row["unpaired_ci95"] = interval_json(c.unpaired);
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_leaks(const Items& items) {
  Table table({"test items that are in the training data", "nearest neighbor's MAE $"}, "lr");
  Json rows = Json::array();
  for (const Leak& leak : leaks(items)) {
    table.add({fmt::format("{:.0f} %", 100 * leak.share), fmt::format("{:.2f}", leak.mae)});
    rows.push_back(Json(leak.mae));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

Json tell_looks(const Items& items) {
  Table table({"equal models, each on 100 items", "MAE $ of the best", "of the same on new items"},
              "lrr");
  Json rows = Json::array();
  for (const Looks& l : looks(items.training)) {
    table.add({fmt::format("the best of {}", l.models), fmt::format("{:.2f}", l.best),
               fmt::format("{:.2f}", l.truth)});
    rows.push_back(Json(l.best));
  }
  fmt::print("{}\n", table.text());
  return rows;
}

}  // namespace

Json tell() {
  const Items items = embedded_items();
  Json j = Json::object();
  j["yardsticks"] = tell_yardsticks(items);
  j["ways_to_be_wrong"] = tell_figures(items);
  j["likelihood"] = tell_likelihood();
  j["narrowing"] = tell_narrowing(items);
  j["coverage"] = tell_coverage(items);
  j["comparing"] = tell_comparing(items);
  j["leaks"] = tell_leaks(items);
  j["looks"] = tell_looks(items);
  return j;
}

}  // namespace qlora::chapter14
