// The comparison of base and tuned model, as report.json and report.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "evaluation/metrics.h"
#include "evaluation/predictors.h"

namespace qlora {

/// One item read aloud: what was asked, the price, and what the models said.
struct SpokenItem {
  std::string prompt;
  double price = 0.0;
  std::string base;   ///< the base's completion
  std::string tuned;  ///< the tuned model's completion
};

/// Everything that a report says. A member that was not measured is absent: null in report.json
/// (`random_base` is left out).
struct Report {
  std::optional<Metrics> base;
  std::optional<Metrics> tuned;
  std::optional<Metrics> median_predictor;
  std::optional<Metrics> mean_predictor;
  std::optional<Metrics> category_mean;
  std::optional<Metrics> nearest_neighbour;
  std::optional<Metrics> noise_floor;
  std::optional<Metrics> random_base;  ///< the same tuning on random weights

  std::int64_t items = 0;
  std::vector<SpokenItem> spoken;
  double seconds = 0.0;
  std::int64_t tokens = 0;
  double tokens_per_second = 0.0;
  std::uint64_t seed = 0;
  std::string commit;
  std::string build_type;
  std::string device;  ///< processor or GPU
  int threads = 0;
  std::string base_format;  ///< e.g. "nf4 with double quantization"
  std::string command;
};

/// Measures the trivial predictors on the test items and puts them into the report.
void add_predictors(Report& report, const PricedPrompts& training, const PricedPrompts& test,
                    std::uint64_t seed);

/// report.json: the members' names are Report's and Metrics's own; intervals are [low, high].
Json report_json(const Report& report);

/// report.md: the figures side by side, the items, and how they were come by.
std::string report_markdown(const Report& report);

/// Writes report.json and report.md into a folder, which must be there.
/// @throws BadInput naming the file that cannot be written
void write_report(const Report& report, const std::string& folder);

}  // namespace qlora
