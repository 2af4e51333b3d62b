// The comparison of base and tuned model, as report.json and report.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "evaluation/comparison.h"
#include "evaluation/metrics.h"
#include "evaluation/predictors.h"

namespace qlora {

/// One item read aloud: what was asked, the price, and what the models said.
struct SpokenItem {
  std::string prompt;         ///< as the model gets it
  double price = 0.0;         ///< in dollars; means nothing where the rows have no prices
  std::string base;           ///< the base's completion
  std::string tuned;          ///< the tuned model's completion
  std::string expected = {};  ///< what the row says, where the rows have no prices
};

/// One of several adapters by itself on the base.
struct AdapterFigures {
  std::string folder;     ///< as it was named
  Metrics metrics;        ///< of the base with this adapter alone
  Comparison comparison;  ///< of that against the base
};

/// Everything that a report says. A member that was not measured is absent: null in report.json
/// (`random_base` is left out).
struct Report {
  /// The models: as it came, and with all adapters.
  std::optional<Metrics> base;
  std::optional<Metrics> tuned;
  std::optional<Comparison> comparison;  ///< of tuned against base, over the same items
  std::vector<AdapterFigures> adapters;  ///< each alone, where there are several

  /// What needs no model (evaluation/predictors.h). The first two give every item one answer.
  std::optional<Metrics> median_predictor;
  std::optional<Metrics> mean_predictor;
  std::optional<Metrics> category_mean;
  std::optional<Metrics> nearest_neighbor;
  std::optional<Metrics> noise_floor;

  std::optional<Metrics> random_base;  ///< the same tuning on random weights

  std::int64_t items = 0;          ///< rows that were measured
  std::string no_prices;           ///< why there are no errors in dollars; empty: there are
  std::vector<SpokenItem> spoken;  ///< a few of them
  double seconds = 0.0;            ///< of the whole job
  std::int64_t tokens = 0;         ///< trained on, or only read where nothing is trained
  double tokens_per_second = 0.0;  ///< of the training, or of the whole job
  std::uint64_t seed = 0;          ///< of training and intervals
  std::string commit;              ///< as in Provenance (course/provenance.h)
  std::string build_type;          ///< likewise
  std::string device;              ///< processor or GPU
  int threads = 0;                 ///< of the CPU
  std::string base_format;         ///< e.g. "nf4 with double quantization"
  std::string command;             ///< that makes the same report again
};

/// Measures the trivial predictors on the test items and puts them into the report.
void add_predictors(Report& report, const PricedPrompts& training, const PricedPrompts& test,
                    std::uint64_t seed);

/// report.json: the members' names are Report's and Metrics's own; intervals are [low, high]. Where
/// there are no prices, what is counted in dollars is null.
Json report_json(const Report& report);

/// report.md: the figures side by side, the items, and how they were come by.
std::string report_markdown(const Report& report);

/// Writes report.json and report.md into a folder, which must be there.
/// @throws BadInput naming the file that cannot be written
void write_report(const Report& report, const std::string& folder);

}  // namespace qlora
