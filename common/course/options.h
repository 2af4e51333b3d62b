// Command lines: what a chapter's executable and its verbs take.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"

namespace qlora {

/// One option of a command line, declared by Options::add and refined by the calls below.
class Option {
 public:
  /// Where the value goes. A bool is a flag, which may be followed by true or false; a vector takes
  /// one value each time the option is given; a Json is typed as JSON on the command line.
  using Target =
      std::variant<std::string*, std::int64_t*, double*, bool*, std::optional<std::string>*,
                   std::optional<std::int64_t>*, std::optional<double>*, std::optional<bool>*,
                   std::vector<std::string>*, std::vector<std::int64_t>*, std::vector<double>*,
                   Json*>;

  /// Options::add makes one.
  Option(std::string name, Target target, std::string help);

  /// It must be given, on the command line or in the configuration file.
  Option& required();
  /// The only words that it takes.
  Option& choices(std::vector<std::string> words);
  /// Another name for it ("--warmup-ratio", "-o").
  Option& alias(std::string name);
  /// Another spelling of a text that it takes: spelled("torch.bfloat16", "bfloat16").
  Option& spelled(std::string other, std::string word);
  /// What stands for the value in the help (FILE, DIR, …).
  Option& value_name(std::string word);
  /// A vector is also given as a,b,c; a string takes a list from a configuration file so joined.
  Option& comma_separated();
  /// A condition on a number: must("be above 0", [](double x) { return x > 0; })
  Option& must(std::string what, std::function<bool(double)> holds);
  Option& at_least(double low);

 private:
  friend class Options;
  friend class CommandLine;
  struct Condition {
    std::string what;
    std::function<bool(double)> holds;
  };
  bool is_flag() const;
  bool is_list() const;
  bool is_called(std::string_view name) const;
  bool has_python_name(std::string_view name) const;
  template <typename T>
  T meant(T value) const;
  void refuse_unless_harmless(const std::vector<std::string>& texts, const std::string& file) const;
  void take(const std::vector<std::string>& texts);
  void take(const Json& value, const std::string& file);
  template <typename T>
  std::string problem_with(const T& value) const;
  std::string help_name() const;
  std::string help_text() const;
  void remember_default();

  std::vector<std::string> names_;  // "--learning-rate", then aliases
  std::optional<Target> target_;    // none: not supported, help_ says why; choices_ are harmless
  bool any_value_ = false;          // all values are harmless
  std::vector<std::pair<std::string, std::string>> spellings_;  // other, word
  std::string help_;
  std::string default_;
  std::string value_name_;
  std::vector<std::string> choices_;
  std::vector<Condition> conditions_;
  bool required_ = false;
  bool comma_separated_ = false;
  bool on_command_line_ = false;
  bool in_config_ = false;
};

/// The options of an executable or of one of its verbs. References given to add() must outlive it.
///
///   Options options("ch04_double_quantization", "The constants quantized: 4.5 to 4.127 bits.");
///   options.add("--blocksize", blocksize, "weights in a block").choices({"64", "128"});
///   options.action([&] { return lesson(); });
///   return run(argc, argv, options);
class Options {
 public:
  /// The description is one sentence, the head of the help.
  Options(std::string name, std::string description);
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  /// A verb with options of its own, and verbs of its own where it is given some; action and
  /// options of the executable itself are the lesson's.
  Options& verb(std::string name, std::string description);

  /// The default is what `target` holds now.
  template <typename T>
  Option& add(std::string name, T& target, std::string help) {
    return add_option(std::move(name), Option::Target(&target), std::move(help));
  }
  /// A name of the Python libraries that is not supported here: giving it is a UsageError with
  /// `why`, but for the values that ask for nothing else than what is done anyway ("none",
  /// "false"). A list of a configuration file is harmless where each of its values is; null and
  /// what is empty ask for nothing.
  void unsupported(std::string name, std::string why, std::vector<std::string> harmless = {});
  /// A name of the Python libraries whose value changes no result here: any is taken.
  void without_effect(std::string name);
  /// The option --config FILE.json, which sets options under their Python names (learning_rate).
  void add_config();

  /// What run() calls when this executable, or this verb, was chosen: returns the exit code, or
  /// nothing for 0.
  template <typename F>
  void action(F f) {
    if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
      action_ = [f = std::move(f)]() mutable {
        f();
        return 0;
      };
    } else {
      action_ = [f = std::move(f)]() mutable { return static_cast<int>(f()); };
    }
  }

  /// Reads a command line (without the program's name) into the targets.
  /// @return the executable's options or those of the verb that was named
  /// @throws UsageError on a name that is not known, a value that the option cannot take, or a
  ///         required option that is missing; BadInput on a configuration file that is wrong
  Options& parse(const std::vector<std::string>& arguments);

  /// Sets an option under its Python name, as a configuration file does: an option given on the
  /// command line keeps its value, a null says nothing.
  /// @throws UsageError on a name that is not known, BadInput on a value of another kind
  void set_from(std::string_view python_name, const Json& value, const std::string& file);

  /// Whether the user set the option, on the command line or in the configuration file.
  bool given(std::string_view name) const;
  /// Whether --help was asked for; parse() then checks nothing else.
  bool help_wanted() const { return help_wanted_; }
  /// The text of --help, at most 100 columns wide.
  std::string help() const;

  /// The executable's name, or the verb.
  const std::string& name() const { return name_; }
  /// Calls the action. @throws UsageError where a verb that only has verbs was given none of them
  int act() const;

 private:
  friend class CommandLine;
  Option& add_option(std::string name, Option::Target target, std::string help);
  Option* find(std::string_view name);
  const Option* find(std::string_view name) const;
  std::string full_name() const;
  std::string suggestion(std::string_view name) const;
  [[noreturn]] void refuse(const std::string& argument) const;
  void finish();
  void remember_defaults();

  std::string name_;
  std::string description_;
  const Options* parent_ = nullptr;
  std::deque<Option> options_;  // add() hands out references
  std::deque<Options> verbs_;
  std::function<int()> action_;
  std::string config_;
  bool help_wanted_ = false;
};

}  // namespace qlora
