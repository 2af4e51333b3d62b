#include "course/options.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "course/text.h"
#include "support/golden.h"

namespace qlora {
namespace {

using Words = std::vector<std::string>;

// An executable with a verb that has one option of every kind.
struct Tool {
  bool all_claims = false;
  std::string data;
  std::string scheduler = "linear";
  std::string target_modules = "q_proj,v_proj";
  std::int64_t r = 8;
  double learning_rate = 5e-5;
  bool bf16 = false;
  Words adapters;
  std::vector<double> weights;
  std::optional<std::int64_t> warmup_steps;
  std::optional<std::string> eval_data;
  Options options{"ch12_tool", "A tool for the tests."};
  Options& train = options.verb("train", "Trains.");

  Tool() {
    options.add("--all-claims", all_claims, "every row");
    options.action([] { return 7; });
    train.add("--data", data, "training rows").value_name("FILE.jsonl").required();
    train.add("--lr-scheduler-type", scheduler, "schedule").choices({"linear", "cosine"});
    train.add("--target-modules", target_modules, "which linears").comma_separated();
    train.add("--r", r, "rank").at_least(1);
    train.add("--learning-rate", learning_rate, "peak").must("be above 0", [](double x) {
      return x > 0;
    });
    train.add("--bf16", bf16, "16-bit arithmetic");
    train.add("--adapter", adapters, "adapter folders").value_name("DIR");
    train.add("--weights", weights, "their weights").comma_separated();
    train.add("--warmup-steps", warmup_steps, "steps to the peak").alias("--warmup");
    train.add("--eval-data", eval_data, "held-out rows").value_name("FILE.jsonl");
    train.unsupported("--fsdp", "one process a GPU is used instead");
    train.add_config();
  }
  // Everything that the verb needs, and what the test adds.
  Options& parse(Words more) {
    more.insert(more.begin(), {"train", "--data", "d.jsonl"});
    return options.parse(more);
  }
};

std::string message_of(const std::function<void()>& f, ExitCode code) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string refusal(const Words& more) {
  return message_of([&] { Tool().parse(more); }, ExitCode::usage);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Options, ValuesOfEveryKindArrive) {
  Tool t;
  Options& chosen = t.parse({"--lr-scheduler-type", "cosine", "--r=16", "--learning-rate", "2e-4",
                             "--bf16", "--adapter", "a,1", "--adapter", "b", "--weights", "0.5,-2",
                             "--warmup-steps", "-1", "--eval-data", "-"});
  EXPECT_EQ(&chosen, &t.train);
  EXPECT_EQ(t.data, "d.jsonl");
  EXPECT_EQ(t.scheduler, "cosine");
  EXPECT_EQ(t.r, 16);
  EXPECT_EQ(t.learning_rate, 2e-4);
  EXPECT_TRUE(t.bf16);
  EXPECT_EQ(t.adapters, (Words{"a,1", "b"}));  // no list of words where none was asked for
  EXPECT_EQ(t.weights, (std::vector<double>{0.5, -2}));
  EXPECT_EQ(t.warmup_steps, -1);
  EXPECT_EQ(t.eval_data, "-");
}

TEST(Options, WhatIsNotGivenKeepsItsDefault) {
  Tool t;
  Options& chosen = t.parse({"--r", "4"});
  EXPECT_EQ(t.learning_rate, 5e-5);
  EXPECT_FALSE(t.warmup_steps.has_value());
  EXPECT_TRUE(chosen.given("--r"));
  EXPECT_FALSE(chosen.given("--learning-rate"));
  EXPECT_THROW(chosen.given("--rr"), std::invalid_argument);
}

TEST(Options, FlagsTakeTrueAndFalse) {
  const auto bf16 = [](const Words& more) {
    Tool t;
    t.bf16 = true;
    t.parse(more);
    return t.bf16;
  };
  EXPECT_TRUE(bf16({}));
  EXPECT_TRUE(bf16({"--bf16"}));
  EXPECT_TRUE(bf16({"--bf16", "true"}));
  EXPECT_FALSE(bf16({"--bf16", "false"}));
  EXPECT_FALSE(bf16({"--bf16=false"}));
  EXPECT_FALSE(bf16({"--bf16", "False", "--r", "2"}));
  EXPECT_TRUE(bf16({"--bf16", "--r", "2"}));
  EXPECT_EQ(refusal({"--bf16", "maybe"}), "--bf16: found 'maybe', expected true or false");
}

TEST(Options, TextsArriveAsTheyWereTyped) {
  for (const char* text : {"", "[a,b]", "-1", "a b", "--", "{}", "%s", "\xc3\xa9\n"}) {
    Tool t;
    t.parse({"--eval-data", text});
    EXPECT_EQ(t.eval_data, text);
    Tool u;
    u.parse({"--adapter", text, "--adapter", "b"});
    EXPECT_EQ(u.adapters, (Words{text, "b"}));
  }
}

TEST(Options, AFlagBeforeAVerbDoesNotSwallowIt) {
  Tool t;
  EXPECT_EQ(&t.options.parse({"--all-claims", "train", "--data", "x"}), &t.train);
  EXPECT_TRUE(t.all_claims);
}

TEST(Options, AnAliasIsTheSameOption) {
  Tool t;
  Options& chosen = t.parse({"--warmup", "3"});
  EXPECT_EQ(t.warmup_steps, 3);
  EXPECT_TRUE(chosen.given("--warmup-steps"));
  EXPECT_EQ(refusal({"--warmup", "3", "--warmup-steps", "4"}), "--warmup-steps is given twice");
}

TEST(Options, RefusalsSayWhatWasExpected) {
  EXPECT_EQ(refusal({"--r", "x"}), "--r: found 'x', expected a whole number");
  EXPECT_EQ(refusal({"--r", "8.5"}), "--r: found '8.5', expected a whole number");
  EXPECT_EQ(refusal({"--r", "99999999999999999999"}),
            "--r: found '99999999999999999999', expected a whole number");
  EXPECT_EQ(refusal({"--r", "0"}), "--r: must be at least 1");
  EXPECT_EQ(refusal({"--learning-rate", "0"}), "--learning-rate: must be above 0");
  EXPECT_EQ(refusal({"--learning-rate", "nan"}),
            "--learning-rate: found 'nan', expected a finite number");
  EXPECT_EQ(refusal({"--learning-rate", "1e999"}),
            "--learning-rate: found '1e999', expected a finite number");
  EXPECT_EQ(refusal({"--lr-scheduler-type", "steps"}),
            "--lr-scheduler-type: found 'steps', expected one of linear, cosine");
  EXPECT_EQ(refusal({"--r", "1", "--r", "2"}), "--r is given twice");
  EXPECT_EQ(refusal({"--weights", "1,,2"}), "--weights: found '', expected a finite number");
  EXPECT_EQ(refusal({"--eval-data", "--bf16"}),
            "--eval-data needs a value, found the option --bf16");
  EXPECT_TRUE(has(refusal({"--r"}), "--r"));
}

TEST(Options, UnknownNamesAreRefusedWithANearOne) {
  EXPECT_EQ(refusal({"--learning_rate", "1"}),
            "the option --learning_rate is not known; did you mean --learning-rate? "
            "(ch12_tool train --help lists what is)");
  EXPECT_TRUE(has(refusal({"--quantum=4"}), "the option --quantum is not known (ch12_tool"));
  EXPECT_TRUE(has(refusal({"stray"}), "the word 'stray' is not known"));
  const auto verb = [] { Tool().options.parse({"trian"}); };
  EXPECT_TRUE(has(message_of(verb, ExitCode::usage), "'trian' is not known; did you mean train?"));
  const auto above = [] { Tool().options.parse({"--data", "x"}); };
  EXPECT_TRUE(has(message_of(above, ExitCode::usage), "the option --data is not known"));
}

TEST(Options, RequiredOnesMustBeThere) {
  const auto f = [] { Tool().options.parse({"train"}); };
  EXPECT_EQ(message_of(f, ExitCode::usage), "--data is required: training rows");
}

TEST(Options, WithoutAVerbTheLessonIsMeant) {
  Tool t;
  Options& chosen = t.options.parse({});
  EXPECT_EQ(&chosen, &t.options);
  EXPECT_EQ(chosen.act(), 7);
}

TEST(Options, AVerbMayHaveVerbsOfItsOwn) {
  Tool t;
  std::int64_t seeds = 3;
  Options& experiment = t.options.verb("experiment", "Answers.");
  Options& rank = experiment.verb("rank", "Which rank?");
  rank.add("--seeds", seeds, "runs of each");
  rank.action([] { return 9; });
  EXPECT_EQ(t.options.parse({"experiment", "rank", "--seeds", "5"}).act(), 9);
  EXPECT_EQ(seeds, 5);
  EXPECT_TRUE(has(rank.help(), "Usage: ch12_tool experiment rank [OPTIONS]"));
  EXPECT_TRUE(has(rank.help(), "(default 3)"));
  EXPECT_TRUE(has(experiment.help(), "One verb is needed"));
  const auto without = [] {
    Tool u;
    u.options.verb("experiment", "Answers.").verb("rank", "Which rank?");
    u.options.parse({"experiment"}).act();
  };
  EXPECT_EQ(message_of(without, ExitCode::usage), "ch12_tool experiment needs one of: rank");
}

std::string config(const std::string& text) {
  const std::string path = testing::scratch() / "config.json";
  write_atomically(path, text);
  return path;
}

TEST(OptionsConfig, SetsPythonNamesAndTheCommandLineWins) {
  const std::string path = config(R"({"learning_rate": 0.001, "r": 32, "bf16": true, "warmup": 5,
      "target_modules": ["q_proj", "o_proj"], "adapter": ["a", "b"], "weights": 2,
      "eval_data": null, "data": "from-config"})");
  Tool t;
  Options& chosen = t.options.parse({"train", "--r", "4", "--config", path});
  EXPECT_EQ(t.learning_rate, 0.001);
  EXPECT_EQ(t.r, 4);
  EXPECT_TRUE(t.bf16);
  EXPECT_EQ(t.warmup_steps, 5);
  EXPECT_EQ(t.target_modules, "q_proj,o_proj");
  EXPECT_EQ(t.adapters, (Words{"a", "b"}));
  EXPECT_EQ(t.weights, std::vector<double>{2});
  EXPECT_FALSE(t.eval_data.has_value());
  EXPECT_EQ(t.data, "from-config");  // a required option may stand here
  EXPECT_TRUE(chosen.given("--learning-rate"));
  EXPECT_FALSE(chosen.given("--eval-data"));
}

TEST(OptionsConfig, UnknownAndUnsupportedNamesAreUsageErrors) {
  EXPECT_TRUE(has(refusal({"--config", config(R"({"learning_rat": 1})")}),
                  "the option learning_rat is not known; did you mean --learning-rate?"));
  EXPECT_TRUE(has(refusal({"--config", config(R"({"fsdp": "full"})")}), ": fsdp is not supported"));
}

TEST(OptionsConfig, WrongValuesAreBadInputThatNamesFileAndPlace) {
  const auto problem = [](const std::string& text) {
    const std::string path = config(text);
    const auto f = [&] { Tool().parse({"--config", path}); };
    const std::string line = message_of(f, ExitCode::bad_input);
    EXPECT_TRUE(line.starts_with(path)) << line;
    return line.substr(path.size());
  };
  EXPECT_EQ(problem(R"({"r": "8"})"), ": r: found \"8\", expected a whole number");
  EXPECT_EQ(problem(R"({"r": 0})"), ": r: must be at least 1");
  EXPECT_EQ(problem(R"({"lr_scheduler_type": "x"})"),
            ": lr_scheduler_type: found 'x', expected one of linear, cosine");
  EXPECT_EQ(problem(R"({"bf16": 1})"), ": bf16: found 1, expected true or false");
  EXPECT_EQ(problem("[]"), ": found [], expected an object");
}

TEST(OptionsHelp, IsAskedForOnBothLevelsAndNeedsNothingElse) {
  Tool t;
  Options& top = t.options.parse({"--help"});
  EXPECT_TRUE(top.help_wanted());
  EXPECT_EQ(&top, &t.options);
  Tool u;
  Options& verb = u.options.parse({"train", "--help"});  // --data is required, and is not here
  EXPECT_TRUE(verb.help_wanted());
  EXPECT_EQ(&verb, &u.train);
}

TEST(OptionsHelp, NamesEverythingWithin100Columns) {
  Tool t;
  t.train.add("--a-name-that-is-longer-than-its-column", t.r,
              std::string(60, 'x') + " " + std::string(60, 'y'));
  t.options.parse({"--help"});
  const std::string top = t.options.help();
  EXPECT_TRUE(has(top, "Usage: ch12_tool [VERB] [OPTIONS]"));
  EXPECT_TRUE(has(top, "  train"));
  const std::string help = t.train.help();
  for (const char* part :
       {"Usage: ch12_tool train [OPTIONS]", "--data FILE.jsonl", "(required)",
        "schedule: linear, cosine (default linear)", "--learning-rate X", "(default 5e-05)",
        "--bf16 [true|false]", "--warmup-steps, --warmup N", "Known and not supported: --fsdp"}) {
    EXPECT_TRUE(has(help, part)) << part << "\n" << help;
  }
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 100u) << line;
}

TEST(Options, ANameTwiceIsAMistakeOfTheProgram) {
  Options options("x", "y");
  bool flag = false;
  options.add("--flag", flag, "");
  EXPECT_THROW(options.add("--flag", flag, ""), std::invalid_argument);
  EXPECT_THROW(options.add("flag", flag, ""), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
