// The one unit that includes CLI11: it cuts a command line into options and their texts.
#include <CLI/CLI.hpp>

#include "core/error.h"
#include "course/options.h"
#include "course/text.h"

namespace qlora {

// The parser of one Options: CLI11 knows the names, verbs and numbers of values; what the texts
// mean is the Options' own affair, as it is for those of a configuration file.
class CommandLine {
 public:
  CommandLine(CLI::App& app, Options& options) : app_(app), options_(options) {
    app.set_help_flag();
    app.allow_extras();  // Options::refuse() has better words for them
    help_ = app.add_flag("-h,--help");
    for (Option& o : options.options_) {
      CLI::Option* option =
          app.add_option(joined(o.names_, ","))->take_all()->allow_extra_args(false);
      if (o.is_flag() || !o.target_) {
        option->expected(0, 1)->default_str("true");  // what CLI11 gives where no value follows
      } else {
        option->expected(1);
      }
      cli_.push_back(option);
    }
    for (Options& v : options.verbs_) {
      verbs_.emplace_back(*app.add_subcommand(v.name_), v);
    }
    app.require_subcommand(0, 1);
  }

  Options& read() {
    for (CommandLine& v : verbs_) {
      if (v.app_.parsed()) {
        read_own();
        return v.read();
      }
    }
    read_own();
    if (!options_.help_wanted_) options_.finish();
    return options_;
  }

 private:
  void read_own() {
    options_.help_wanted_ = help_->count() > 0;
    if (options_.help_wanted_) return;
    const auto unknown = app_.remaining();
    if (!unknown.empty()) options_.refuse(unknown.front());
    for (std::size_t i = 0; i < cli_.size(); ++i) {
      Option& option = options_.options_[i];
      if (cli_[i]->count() == 0) continue;
      for (const std::string& text : cli_[i]->results()) {
        if (options_.find(text) != nullptr) {
          throw UsageError(option.names_[0] + " needs a value, found the option " + text);
        }
      }
      option.take(cli_[i]->results());
    }
  }

  CLI::App& app_;
  Options& options_;
  CLI::Option* help_;
  std::vector<CLI::Option*> cli_;
  std::deque<CommandLine> verbs_;
};

void Options::remember_defaults() {
  for (Option& o : options_) o.remember_default();
  for (Options& v : verbs_) v.remember_defaults();
}

Options& Options::parse(const std::vector<std::string>& arguments) {
  CLI::App app;
  CommandLine line(app, *this);
  remember_defaults();
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // from the back
  } catch (const CLI::ParseError& e) {
    throw UsageError(e.what());
  }
  return line.read();
}

}  // namespace qlora
