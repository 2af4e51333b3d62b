#include "course/options.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "course/text.h"

namespace qlora {
namespace {

// How many letters must be changed, added or left out to make one name the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

Options::Options(std::string name, std::string description)
    : name_(std::move(name)), description_(std::move(description)) {}

Options& Options::verb(std::string name, std::string description) {
  Options& v = verbs_.emplace_back(std::move(name), std::move(description));
  v.parent_ = this;
  return v;
}

Option& Options::add_option(std::string name, Option::Target target, std::string help) {
  require(name.size() > 2 && name.starts_with("--"), "Options::add", "a name that begins with --");
  require(find(name) == nullptr, "Options::add", "a name that no other option has");
  return options_.emplace_back(std::move(name), target, std::move(help));
}

void Options::unsupported(std::string name, std::string why, std::vector<std::string> harmless) {
  bool unused = false;
  add_option(std::move(name), &unused, std::move(why)).choices(std::move(harmless)).target_.reset();
}

void Options::without_effect(std::string name) {
  unsupported(std::move(name), "");
  options_.back().any_value_ = true;
}

void Options::add_config() {
  add("--config", config_, "options under their Python names; the command line wins")
      .value_name("FILE.json");
}

Option* Options::find(std::string_view name) {
  return const_cast<Option*>(std::as_const(*this).find(name));
}

const Option* Options::find(std::string_view name) const {
  for (const Option& o : options_) {
    if (o.is_called(name)) return &o;
  }
  return nullptr;
}

bool Options::given(std::string_view name) const {
  const Option* option = find(name);
  if (option == nullptr) throw std::invalid_argument("Options::given: " + std::string(name));
  return option->on_command_line_ || option->in_config_;
}

void Options::set_from(std::string_view name, const Json& value, const std::string& file) {
  for (Option& o : options_) {
    if (!o.has_python_name(name)) continue;
    if (!value.is_null() && !o.on_command_line_) o.take(value, file);
    return;
  }
  std::string dashed = "--" + std::string(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  throw UsageError(file + ": the option " + std::string(name) + " is not known" +
                   suggestion(dashed));
}

// What is left when the command line is in: the configuration file, and what is missing.
void Options::finish() {
  if (!config_.empty()) {
    const Json config = Json::read(config_);
    for (const Json::Member& m : config.as_object()) set_from(m.first, m.second, config_);
  }
  for (const Option& o : options_) {
    if (o.required_ && !o.on_command_line_ && !o.in_config_) {
      throw UsageError(o.names_[0] + " is required: " + o.help_);
    }
  }
}

std::string Options::suggestion(std::string_view name) const {
  const std::string* nearest = nullptr;
  std::size_t least = std::max<std::size_t>(2, name.size() / 4) + 1;
  const auto consider = [&](const std::string& candidate) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = &candidate;
    }
  };
  if (name.starts_with('-')) {
    for (const Option& o : options_) {
      if (o.target_) std::for_each(o.names_.begin(), o.names_.end(), consider);
    }
  } else {
    for (const Options& v : verbs_) consider(v.name_);
  }
  return nearest == nullptr ? "" : "; did you mean " + *nearest + "?";
}

void Options::refuse(const std::string& argument) const {
  const std::string name = argument.substr(0, argument.find('='));
  const char* kind = name.starts_with('-') ? "the option " : "the word '";
  const char* end = name.starts_with('-') ? "" : "'";
  throw UsageError(kind + name + end + " is not known" + suggestion(name) + " (" + full_name() +
                   " --help lists what is)");
}

int Options::act() const {
  if (action_) return action_();
  require(!verbs_.empty(), "Options::act", "an action");
  std::vector<std::string> names;
  names.reserve(verbs_.size());
  for (const Options& v : verbs_) names.push_back(v.name_);
  throw UsageError(full_name() + " needs one of: " + joined(names));
}

std::string Options::full_name() const {
  return parent_ == nullptr ? name_ : parent_->full_name() + " " + name_;
}

}  // namespace qlora
