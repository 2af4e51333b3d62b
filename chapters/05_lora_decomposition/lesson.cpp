#include "lesson.h"

#include <fmt/format.h>

#include <cmath>

#include "course/table.h"
#include "lora/counting.h"
#include "measurements.h"

namespace qlora::chapter05 {
namespace {

Json tell_sizes() {
  Table table({"W (N x K)", "numbers", "r", "A and B", "share", "r at which nothing is saved"},
              "lrrrrr");
  Json rows = Json::array();
  const auto add = [&](std::int64_t N, std::int64_t K, std::int64_t R) {
    const LinearShape W{"W", K, N};
    const double share = 100.0 * static_cast<double>(lora_parameters(W, R)) /
                         static_cast<double>(dense_parameters(W));
    table.add({fmt::format("{} x {}", N, K), grouped(dense_parameters(W)), grouped(R),
               grouped(lora_parameters(W, R)), fmt::format("{:.2f} %", share),
               readable(break_even_rank(W))});
    Json row = Json::object();
    row["N"] = N;
    row["K"] = K;
    row["r"] = R;
    row["parameters"] = lora_parameters(W, R);
    rows.push_back(std::move(row));
  };
  add(3, 3, 1);
  add(3, 3, 2);
  add(4096, 4096, 16);
  add(3072, 3072, 16);
  add(1024, 3072, 16);
  add(1024, 3072, 256);
  fmt::print("A change of W, held as B (N x r) times A (r x K).\n{}\n", table.text());
  return rows;
}

Json tell_spectra(const std::string& model) {
  const std::vector<Spectrum> all = spectra(model);
  std::vector<std::string> headings{"192 x 192, lost at rank"};
  const std::vector<std::int64_t> ranks{1, 4, 8, 16, 32, 64, 128};
  for (std::int64_t R : ranks) headings.push_back(std::to_string(R));
  Table table(headings, "lrrrrrrr");
  Json j = Json::object();
  for (const Spectrum& spectrum : all) {
    std::vector<std::string> row{spectrum.name};
    for (std::int64_t R : ranks) {
      row.push_back(fmt::format("{:.0f} %", 100 * spectrum.relative_error(R)));
      j[spectrum.name].push_back(spectrum.relative_error(R));
    }
    table.add(row);
  }
  fmt::print(
      "A matrix cut down to rank r: the part of its length that is lost (Eckart and Young).\n{}\n",
      table.text());
  return j;
}

Json tell_first_steps(const Outcome& run) {
  Table table({"step", "gradient of A", "gradient of B"}, "rrr");
  Json j = Json::array();
  for (std::size_t step : {0, 1, 2, 10, 100}) {
    table.add({std::to_string(step), fmt::format("{:.5f}", run.norm_dA[step]),
               fmt::format("{:.5f}", run.norm_dB[step])});
    j.push_back(run.norm_dA[step]);
  }
  fmt::print(
      "A regression: q_proj of layer 1 of the embedded model, frozen, and an adapter that\n"
      "learns to make it layer 2's, on 512 token embeddings. The first steps at r = 8:\n{}\n",
      table.text());
  return j;
}

Json tell_ranks(const std::vector<RankRun>& runs) {
  Table table({"r", "parameters", "loss", "no rank r goes below", "on held-out tokens",
               "merged - unmerged"},
              "rrrrrr");
  Json rows = Json::array();
  for (const RankRun& run : runs) {
    table.add({std::to_string(run.R), grouped(run.parameters),
               fmt::format("{:.4f}", run.outcome.loss), fmt::format("{:.4f}", run.best),
               fmt::format("{:.4f}", run.outcome.held_out),
               fmt::format("{:.0e}", run.outcome.merged)});
    Json row = Json::object();
    row["r"] = run.R;
    row["parameters"] = run.parameters;
    row["loss"] = run.outcome.loss;
    row["best"] = run.best;
    row["held_out"] = run.outcome.held_out;
    row["merged"] = run.outcome.merged;
    row["restored"] = run.outcome.restored;
    rows.push_back(std::move(row));
  }
  fmt::print(
      "Experiment rank_sweep, alpha = 2r (a stand-in: one layer, not a language model):\n{}\n",
      table.text());
  return rows;
}

Json tell_alphas(const std::vector<AlphaRun>& runs) {
  Table table({"alpha", "alpha / r", "loss"}, "rrr");
  Json rows = Json::array();
  for (const AlphaRun& run : runs) {
    table.add({readable(run.alpha), readable(run.scaling),
               std::isfinite(run.loss) ? fmt::format("{:.4f}", run.loss) : "diverged"});
    Json row = Json::object();
    row["alpha"] = run.alpha;
    row["scaling"] = run.scaling;
    row["loss"] = run.loss;
    rows.push_back(std::move(row));
  }
  fmt::print("Experiment alpha_sweep, r = {}, one learning rate (likewise a stand-in):\n{}",
             kAlphaSweepRank, table.text());
  return rows;
}

}  // namespace

Json tell() {
  const std::string model = QLORA_DATA_DIR "/tiny-llama";
  Json j = Json::object();
  j["sizes"] = tell_sizes();
  j["truncation_error"] = tell_spectra(model);
  const Regression regression = layer_regression(model);
  const std::vector<RankRun> runs = rank_sweep(regression);
  for (const RankRun& run : runs) {
    if (run.R == kAlphaSweepRank) j["first_steps"] = tell_first_steps(run.outcome);
  }
  j["rank_sweep"] = tell_ranks(runs);
  j["alpha_sweep"] = tell_alphas(alpha_sweep(regression));
  return j;
}

}  // namespace qlora::chapter05
