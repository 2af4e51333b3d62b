#include "course/experiment.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iomanip>
#include <numeric>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "course/provenance.h"
#include "course/svg.h"
#include "course/table.h"
#include "course/text.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// The results as far as they are there: those of an earlier command with the same settings, or
// none.
Json results_so_far(const Experiment& e, const std::string& path) {
  Json fresh = Json::object();
  fresh["experiment"] = e.name;
  fresh["question"] = e.question;
  fresh["settings"] = e.settings;
  fresh["runs"] = Json::array();
  if (!fs::exists(path)) return fresh;
  Json old = Json::read(path);
  if (old.at("experiment").as_string() != e.name ||
      old.at("settings").dump() != e.settings.dump()) {
    throw BadInput(path, "settings", "are of another experiment: give --output-dir");
  }
  fresh["runs"] = old.at("runs");
  return fresh;
}

const Json* find_run(const Json& results, const std::string& variant, std::int64_t seed) {
  for (const Json& run : results.at("runs").as_array()) {
    if (run.at("variant").as_string() == variant && run.at("seed").as_integer() == seed)
      return &run;
  }
  return nullptr;
}

// JSON has no other numbers: what failed is null.
Json finite(double x) {
  return std::isfinite(x) ? Json(x) : Json();
}

Json run_json(const std::string& variant, std::int64_t seed, const std::vector<Figure>& figures) {
  Json run = Json::object();
  run["variant"] = variant;
  run["seed"] = seed;
  run["figures"] = Json::object();
  for (const Figure& f : figures) run["figures"][f.name] = finite(f.value);
  return run;
}

// The figure's values over the seeds; NaN where it is null.
std::vector<double> values_of(const Json& results, const std::string& variant,
                              const std::string& figure, std::int64_t seeds) {
  std::vector<double> out;
  for (std::int64_t seed = 1; seed <= seeds; ++seed) {
    const Json* run = find_run(results, variant, seed);
    const Json* value = run == nullptr ? nullptr : run->at("figures").find(figure);
    out.push_back(value == nullptr ? std::nan("") : value->as_number());
  }
  return out;
}

std::vector<std::string> figure_names(const Json& results) {
  std::vector<std::string> out;
  for (const auto& [name, value] : results.at("runs").at(0).at("figures").as_object()) {
    out.push_back(name);
  }
  return out;
}

// The mean in four significant digits, or as many as its deviation makes worth reading.
std::string text_of(const Spread& s) {
  if (!std::isfinite(s.mean)) return "failed";
  if (s.deviation == 0.0) return readable(s.mean, 4);
  const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(s.deviation))), 0, 6);
  std::ostringstream out;
  out << std::fixed << std::setprecision(decimals) << s.mean << " ± " << s.deviation;
  return out.str();
}

void summarize(Json& results, const Experiment& e, const ExperimentOptions& o,
               const std::string& folder) {
  const std::vector<std::string> figures = figure_names(results);
  std::vector<std::string> headings{""};
  headings.insert(headings.end(), figures.begin(), figures.end());
  Table table(headings, "l" + std::string(figures.size(), 'r'));
  BarChart chart{e.question, figures.front(), {}, {{"", {}, {}}}};
  results["variants"] = Json::array();
  for (const Variant& v : e.variants) {
    std::vector<std::string> row{v.name};
    Json variant = Json::object();
    variant["name"] = v.name;
    variant["figures"] = Json::object();
    for (const std::string& figure : figures) {
      const Spread s = spread_of(values_of(results, v.name, figure, o.seeds));
      row.push_back(text_of(s));
      Json& written = variant["figures"][figure];
      written["mean"] = finite(s.mean);
      written["deviation"] = finite(s.deviation);
      if (figure != figures.front()) continue;
      chart.groups.push_back(v.name);
      chart.series[0].values.push_back(s.mean);
      chart.series[0].deviations.push_back(s.deviation);
    }
    table.add(row);
    results["variants"].push_back(variant);
  }
  std::printf("%s\n\n%s\nMean and standard deviation over %lld seed%s; written to %s.\n",
              e.question.c_str(), table.text().c_str(), static_cast<long long>(o.seeds),
              o.seeds == 1 ? "" : "s", folder.c_str());
  write_svg((fs::path(folder) / (e.name + ".svg")).string(), chart);
}

}  // namespace

std::string experiment_folder(const ExperimentOptions& o, const std::string& name) {
  return o.output_dir.empty() ? "runs/experiment-" + name : o.output_dir;
}

void add_experiment_options(Options& verb, ExperimentOptions& o) {
  verb.add("--seeds", o.seeds, "runs of each variant").at_least(1);
  verb.add("--output-dir", o.output_dir, "where results go; default: runs/experiment-NAME")
      .value_name("DIR");
  verb.add("--json", o.json, "write the results there too").value_name("FILE");
}

Spread spread_of(const std::vector<double>& values) {
  require(!values.empty(), "spread_of", "at least one value");
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, values.size() == 1 ? 0.0 : std::sqrt(squares / (n - 1.0))};
}

Json run_experiment(const Experiment& e, const ExperimentOptions& o) {
  require(!e.variants.empty(), "run_experiment", "at least one variant");
  const std::string folder = experiment_folder(o, e.name);
  const std::string path = (fs::path(folder) / (e.name + ".json")).string();
  make_folder(folder);
  Json results = results_so_far(e, path);
  results["provenance"] = json(provenance());
  const std::size_t runs = e.variants.size() * static_cast<std::size_t>(o.seeds);
  std::size_t done = 0;
  for (std::int64_t seed = 1; seed <= o.seeds; ++seed) {
    for (const Variant& v : e.variants) {
      ++done;
      if (find_run(results, v.name, seed) != nullptr) continue;
      std::fprintf(stderr, "%s, seed %lld: run %zu of %zu\n", v.name.c_str(),
                   static_cast<long long>(seed), done, runs);
      const auto figures = v.run(static_cast<std::uint64_t>(seed));
      results["runs"].push_back(run_json(v.name, seed, figures));
      write_atomically(path, results.dump(1) + "\n");
    }
  }
  summarize(results, e, o, folder);
  write_atomically(path, results.dump(1) + "\n");
  if (!o.json.empty()) write_atomically(o.json, results.dump(1) + "\n");
  return results;
}

}  // namespace qlora
