#include "evaluation/report.h"

#include <cmath>
#include <cstdio>

#include "core/files.h"
#include "text/prices.h"

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
    {"nearest_neighbour", "nearest training item by its words", &Report::nearest_neighbor},
    {"noise_floor", "the rule without its noise (no one can do better)", &Report::noise_floor},
};

Json interval_json(const Interval& interval) {
  return Json::Array{Json(interval.low), Json(interval.high)};
}

Json optional_json(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json optional_json(const std::optional<Interval>& value) {
  return value ? interval_json(*value) : Json();
}

Json metrics_json(const Metrics& m) {
  Json json = Json::object();
  if (m.loss) {
    json["loss"] = *m.loss;
    json["perplexity"] = optional_json(m.perplexity);
    json["loss_ci95"] = optional_json(m.loss_ci95);
    json["perplexity_ci95"] = optional_json(m.perplexity_ci95);
  }
  const bool priced = m.priced > 0;
  json["mae"] = priced ? Json(m.mae) : Json();
  json["hit_rate"] = priced ? Json(m.hit_rate) : Json();
  json["no_answer"] = priced ? Json(m.no_answer) : Json();
  json["mae_ci95"] = priced ? interval_json(m.mae_ci95) : Json();
  json["hit_rate_ci95"] = priced ? interval_json(m.hit_rate_ci95) : Json();
  return json;
}

Json comparison_json(const std::optional<Comparison>& comparison) {
  if (!comparison) return {};
  Json json = Json::object();
  json["loss_difference"] = comparison->loss.value;
  json["loss_difference_ci95"] = interval_json(comparison->loss.ci95);
  json["loss_lower"] = comparison->loss.better;
  const std::optional<Difference>& mae = comparison->mae;
  json["mae_difference"] = mae ? Json(mae->value) : Json();
  json["mae_difference_ci95"] = mae ? interval_json(mae->ci95) : Json();
  json["closer"] = mae ? Json(mae->better) : Json();
  json["equally_close"] = mae ? Json(mae->equal) : Json();
  return json;
}

Json adapters_json(const std::vector<AdapterFigures>& adapters) {
  Json all = Json::array();
  for (const AdapterFigures& adapter : adapters) {
    Json json = metrics_json(adapter.metrics);
    json["adapter"] = adapter.folder;
    json["comparison"] = comparison_json(adapter.comparison);
    all.push_back(std::move(json));
  }
  return all;
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

// "1.234 (1.200 to 1.300)", or less where less was measured.
std::string measured(const std::optional<double>& value, const std::optional<Interval>& interval,
                     int digits) {
  return value && interval ? with_interval(*value, *interval, digits)
                           : optional_fixed(value, digits);
}

std::string table_row(const std::string& words, const Metrics& m) {
  std::string text = "| " + words;
  text.append(" | ").append(measured(m.loss, m.loss_ci95, 3));
  text.append(" | ").append(measured(m.perplexity, m.perplexity_ci95, 2));
  if (m.priced > 0) {
    text.append(" | ").append(with_interval(m.mae, m.mae_ci95, 1));
    text.append(" | ").append(with_interval(100.0 * m.hit_rate, percent(m.hit_rate_ci95), 1));
    text.append(" | ").append(std::to_string(m.no_answer));
  }
  return text + " |\n";
}

std::string table(const Report& report) {
  std::string text =
      report.no_prices.empty()
          ? "| | loss | perplexity | mean absolute error, dollars | within 20 %, percent | no "
            "answer |\n|---|---:|---:|---:|---:|---:|\n"
          : "| | loss | perplexity |\n|---|---:|---:|\n";
  for (const Row& row : kRows) {
    if (const auto& metrics = report.*row.metrics) text += table_row(row.words, *metrics);
    if (row.metrics != &Report::tuned) continue;
    for (const AdapterFigures& adapter : report.adapters) {
      text += table_row("base with " + cell(adapter.folder) + " alone", adapter.metrics);
    }
  }
  return text;
}

std::string percent_text(double share) {
  return fixed(100.0 * share, 1) + " %";
}

std::string comparison_text(const std::string& name, const Comparison& c) {
  std::string text = "- " + name + ": loss " + with_interval(c.loss.value, c.loss.ci95, 3) +
                     ", lower on " + percent_text(c.loss.better) + " of the rows";
  if (c.mae) {
    text += "; error in dollars " + with_interval(c.mae->value, c.mae->ci95, 1) +
            ", closer to the price on " + percent_text(c.mae->better) + " of the items, equally " +
            "close on " + percent_text(c.mae->equal);
  }
  return text + ".\n";
}

std::string comparisons(const Report& report) {
  if (!report.comparison) return "";
  std::string text =
      "\n## Against the base, item by item\n\nTuned less base; below zero the tuned model is "
      "better. The items are drawn for both at once.\n\n" +
      comparison_text("tuned", *report.comparison);
  for (const AdapterFigures& adapter : report.adapters) {
    text += comparison_text(cell(adapter.folder) + " alone", adapter.comparison);
  }
  return text;
}

std::string spoken(const Report& report) {
  if (report.spoken.empty()) return "";
  const bool priced = report.no_prices.empty();
  std::string text = priced ? "\n## Items read aloud\n\n| item | price | base | tuned "
                              "|\n|---|---:|---:|---:|\n"
                            : "\n## Rows read aloud\n\n| row | its own answer | base | tuned "
                              "|\n|---|---|---|---|\n";
  for (const SpokenItem& item : report.spoken) {
    text.append("| ").append(cell(priced ? price_description(item.prompt) : item.prompt));
    text.append(" | ").append(priced ? fixed(item.price, 0) : cell(item.expected));
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
  report.nearest_neighbor = measured(nearest_neighbors(training, test.prompts));
  report.noise_floor = measured(noise_floor(test.prompts));
}

Json report_json(const Report& report) {
  Json json = Json::object();
  for (const Row& row : kRows) {
    const std::optional<Metrics>& metrics = report.*row.metrics;
    if (metrics) json[row.name] = metrics_json(*metrics);
    if (!metrics && row.metrics != &Report::random_base) json[row.name] = Json();
  }
  json["comparison"] = comparison_json(report.comparison);
  if (!report.adapters.empty()) json["adapters"] = adapters_json(report.adapters);
  json["items"] = report.items;
  json["no_prices"] = report.no_prices.empty() ? Json() : Json(report.no_prices);
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
    if (report.no_prices.empty()) {
      entry["price"] = item.price;
    } else {
      entry["price"] = Json();
      entry["expected"] = item.expected;
    }
    entry["base"] = item.base;
    entry["tuned"] = item.tuned;
    items.push_back(std::move(entry));
  }
  json["spoken"] = std::move(items);
  return json;
}

std::string report_markdown(const Report& report) {
  std::string text =
      "# Base and tuned model\n\n" + std::to_string(report.items) +
      " test items; in brackets 95 % confidence intervals (percentile bootstrap, 1,000 "
      "resamples).\n\n";
  if (!report.no_prices.empty()) {
    text += "No errors in dollars and no hits: " + cell(report.no_prices) + ".\n\n";
  }
  return text + table(report) + comparisons(report) + spoken(report) + provenance(report);
}

void write_report(const Report& report, const std::string& folder) {
  write_atomically(folder + "/report.json", report_json(report).dump(2) + "\n");
  write_atomically(folder + "/report.md", report_markdown(report));
}

}  // namespace qlora
