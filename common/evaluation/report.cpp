#include "evaluation/report.h"

#include <cmath>
#include <cstdio>

#include "core/files.h"

namespace qlora {
namespace {

// The rows of the table: the member's name in report.json, and in words.
struct Row {
  const char* name;
  const char* words;
  const std::optional<Metrics> Report::* metrics;
};
constexpr Row kRows[] = {
    {"base", "base model", &Report::base},
    {"tuned", "base with the trained adapter", &Report::tuned},
    {"random_base", "random weights, the same training", &Report::random_base},
    {"mean_predictor", "always the mean", &Report::mean_predictor},
    {"median_predictor", "always the median", &Report::median_predictor},
    {"category_mean", "mean of the category", &Report::category_mean},
    {"nearest_neighbour", "nearest training item by its words", &Report::nearest_neighbour},
    {"noise_floor", "the rule without its noise (no one can do better)", &Report::noise_floor},
};

Json interval_json(const Interval& interval) {
  return Json::Array{Json(interval.low), Json(interval.high)};
}

Json metrics_json(const Metrics& metrics) {
  Json json = Json::object();
  if (metrics.loss) json["loss"] = *metrics.loss;
  if (metrics.perplexity) json["perplexity"] = *metrics.perplexity;
  json["mae"] = metrics.mae;
  json["hit_rate"] = metrics.hit_rate;
  json["no_answer"] = metrics.no_answer;
  json["mae_ci95"] = interval_json(metrics.mae_ci95);
  json["hit_rate_ci95"] = interval_json(metrics.hit_rate_ci95);
  return json;
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : "infinite";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string optional_fixed(const std::optional<double>& value, int digits) {
  return value ? fixed(*value, digits) : "";
}

std::string with_interval(double value, const Interval& interval, int digits) {
  return fixed(value, digits) + " (" + fixed(interval.low, digits) + " to " +
         fixed(interval.high, digits) + ")";
}

Interval percent(const Interval& share) {
  return {100.0 * share.low, 100.0 * share.high};
}

// Text of a table's cell: one line, no character that ends the cell or begins markup.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t') {
      out += ' ';
      continue;
    }
    if (std::string_view("|\\`*_<>[]$").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// The description of an item: its prompt without the question and the words that ask for the price.
std::string_view description_of(std::string_view prompt) {
  const std::size_t begin = prompt.find("\n\n");
  const std::size_t end = prompt.rfind("\n\n");
  if (begin == std::string_view::npos || end <= begin) return prompt;
  return prompt.substr(begin + 2, end - begin - 2);
}

std::string table(const Report& report) {
  std::string text =
      "| | loss | perplexity | mean absolute error, dollars | within 20 %, percent | no answer |\n"
      "|---|---:|---:|---:|---:|---:|\n";
  for (const Row& row : kRows) {
    const std::optional<Metrics>& metrics = report.*row.metrics;
    if (!metrics) continue;
    const Metrics& m = *metrics;
    text.append("| ").append(row.words);
    text.append(" | ").append(optional_fixed(m.loss, 3));
    text.append(" | ").append(optional_fixed(m.perplexity, 2));
    text.append(" | ").append(with_interval(m.mae, m.mae_ci95, 1));
    text.append(" | ").append(with_interval(100.0 * m.hit_rate, percent(m.hit_rate_ci95), 1));
    text.append(" | ").append(std::to_string(m.no_answer)).append(" |\n");
  }
  return text;
}

std::string spoken(const Report& report) {
  if (report.spoken.empty()) return "";
  std::string text =
      "\n## Items read aloud\n\n| item | price | base | tuned |\n|---|---:|---:|---:|\n";
  for (const SpokenItem& item : report.spoken) {
    text.append("| ").append(cell(description_of(item.prompt)));
    text.append(" | ").append(fixed(item.price, 0));
    text.append(" | ").append(cell(item.base));
    text.append(" | ").append(cell(item.tuned)).append(" |\n");
  }
  return text;
}

std::string provenance(const Report& report) {
  std::string text = "\n## How\n\n```\n";
  text.append(report.command).append("\n```\n\n");
  text.append("Base ").append(report.base_format);
  text.append("; seed ").append(std::to_string(report.seed));
  text.append("; ").append(std::to_string(report.tokens)).append(" tokens in ");
  text.append(fixed(report.seconds, 1)).append(" s, ");
  text.append(fixed(report.tokens_per_second, 0)).append(" tokens/s; ");
  text.append(report.device).append(", ").append(std::to_string(report.threads));
  text.append(report.threads == 1 ? " thread" : " threads");
  text.append("; build ").append(report.build_type);
  return text.append(", commit ").append(report.commit).append(".\n");
}

}  // namespace

void add_predictors(Report& report, const PricedPrompts& training, const PricedPrompts& test,
                    std::uint64_t seed) {
  const auto constant = [&](double answer) {
    return measure(std::vector<double>(test.prices.size(), answer), test.prices, seed);
  };
  const auto measured = [&](const std::optional<std::vector<double>>& answers) {
    return answers ? std::optional(measure(*answers, test.prices, seed)) : std::nullopt;
  };
  report.items = static_cast<std::int64_t>(test.prices.size());
  report.mean_predictor = constant(mean_of(training.prices));
  report.median_predictor = constant(median_of(training.prices));
  report.category_mean = measured(category_means(training, test.prompts));
  report.nearest_neighbour = measured(nearest_neighbours(training, test.prompts));
  report.noise_floor = measured(noise_floor(test.prompts));
}

Json report_json(const Report& report) {
  Json json = Json::object();
  for (const Row& row : kRows) {
    const std::optional<Metrics>& metrics = report.*row.metrics;
    if (metrics) json[row.name] = metrics_json(*metrics);
    if (!metrics && row.metrics != &Report::random_base) json[row.name] = Json();
  }
  json["items"] = report.items;
  json["seconds"] = report.seconds;
  json["tokens"] = report.tokens;
  json["tokens_per_second"] = report.tokens_per_second;
  json["seed"] = static_cast<std::int64_t>(report.seed);
  json["commit"] = report.commit;
  json["build_type"] = report.build_type;
  json["device"] = report.device;
  json["threads"] = report.threads;
  json["base_format"] = report.base_format;
  json["command"] = report.command;
  Json items = Json::array();
  for (const SpokenItem& item : report.spoken) {
    Json entry = Json::object();
    entry["prompt"] = item.prompt;
    entry["price"] = item.price;
    entry["base"] = item.base;
    entry["tuned"] = item.tuned;
    items.push_back(std::move(entry));
  }
  json["spoken"] = std::move(items);
  return json;
}

std::string report_markdown(const Report& report) {
  return "# Base and tuned model\n\n" + std::to_string(report.items) +
         " test items; in brackets 95 % confidence intervals (percentile bootstrap, 1,000 "
         "resamples).\n\n" +
         table(report) + spoken(report) + provenance(report);
}

void write_report(const Report& report, const std::string& folder) {
  write_atomically(folder + "/report.json", report_json(report).dump(2) + "\n");
  write_atomically(folder + "/report.md", report_markdown(report));
}

}  // namespace qlora
