#include "course/experiment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

// Each run counts itself; the figures are of the seed, so that mean and deviation are known.
Experiment of_two(int& runs) {
  const auto run = [&runs](double factor) {
    return [&runs, factor](std::uint64_t seed) {
      ++runs;
      return std::vector<Figure>{{"loss", factor * static_cast<double>(seed)},
                                 {"constant", factor}};
    };
  };
  Json settings = Json::object();
  settings["items"] = 7;
  return {"twins", "Which is larger?", settings, {{"one", run(1.0)}, {"ten", run(10.0)}}};
}

TEST(Experiment, SpreadIsTheSamplesOwn) {
  const Spread s = spread_of({2.0, 4.0, 9.0});  // deviations -3, -1, 4: sqrt(26 / 2)
  EXPECT_DOUBLE_EQ(s.mean, 5.0);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(13.0));
  EXPECT_EQ(spread_of({3.5}).deviation, 0.0);
  EXPECT_THROW(spread_of({}), std::invalid_argument);
}

TEST(Experiment, RunsEveryVariantWithEverySeed) {
  const std::filesystem::path scratch = testing::scratch();
  int runs = 0;
  const Json results = run_experiment(
      of_two(runs), {3, (scratch / "out").string(), (scratch / "too.json").string()});
  EXPECT_EQ(runs, 6);
  EXPECT_EQ(results.at("runs").size(), 6u);
  const Json& loss = results.at("variants").at(1).at("figures").at("loss");
  EXPECT_DOUBLE_EQ(loss.at("mean").as_number(), 20.0);
  EXPECT_DOUBLE_EQ(loss.at("deviation").as_number(), 10.0);
  EXPECT_EQ(read_file((scratch / "out/twins.json").string()),
            read_file((scratch / "too.json").string()));
  EXPECT_NE(read_file((scratch / "out/twins.svg").string()).find("<svg"), std::string::npos);
}

TEST(Experiment, AStoppedOneGoesOn) {
  const std::filesystem::path scratch = testing::scratch();
  int runs = 0;
  Experiment e = of_two(runs);
  const ExperimentOptions o{2, (scratch / "out").string(), ""};
  const auto ten = e.variants[1].run;
  e.variants[1].run = [&](std::uint64_t seed) {
    if (seed == 2) throw std::runtime_error("stopped");
    return ten(seed);
  };
  EXPECT_THROW(run_experiment(e, o), std::runtime_error);
  EXPECT_EQ(runs, 3);
  e.variants[1].run = ten;
  EXPECT_EQ(run_experiment(e, o).at("runs").size(), 4u);
  EXPECT_EQ(runs, 4);
}

TEST(Experiment, ResultsOfOtherSettingsAreNotGoneOnWith) {
  const std::filesystem::path scratch = testing::scratch();
  int runs = 0;
  Experiment e = of_two(runs);
  const ExperimentOptions o{1, (scratch / "out").string(), ""};
  run_experiment(e, o);
  e.settings["items"] = 8;
  EXPECT_THROW(run_experiment(e, o), BadInput);
}

TEST(Experiment, AFigureThatIsNotFiniteIsNoMean) {
  const std::filesystem::path scratch = testing::scratch();
  int runs = 0;
  Experiment e = of_two(runs);
  e.variants[0].run = [](std::uint64_t) {
    return std::vector<Figure>{{"loss", std::nan("")}, {"constant", 1.0}};
  };
  const Json results = run_experiment(e, {2, (scratch / "out").string(), ""});
  EXPECT_EQ(results.at("variants").at(0).at("figures").find("loss")->find("mean"), nullptr);
  EXPECT_DOUBLE_EQ(results.at("variants").at(1).at("figures").at("loss").at("mean").as_number(),
                   15.0);
}

}  // namespace
}  // namespace qlora
