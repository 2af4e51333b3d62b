// The text of --help.
#include <algorithm>

#include "course/options.h"
#include "course/text.h"

namespace qlora {
namespace {

constexpr std::size_t kNameWidth = 34;  // names that are longer stand on a line of their own

std::string shown(const std::string& value) {
  return value;
}
std::string shown(bool value) {
  return value ? "true" : "";
}
std::string shown(std::int64_t value) {
  return std::to_string(value);
}
std::string shown(double value) {
  return Json(value).dump();
}  // the shortest text of the value
std::string shown(const Json& value) {
  return value.is_null() ? "" : value.dump();
}
template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? shown(*value) : "";
}
template <typename T>
std::string shown(const std::vector<T>& values) {
  std::vector<std::string> words;
  words.reserve(values.size());
  for (const T& v : values) words.push_back(shown(v));
  return joined(words, ",");
}

const char* kind_of(const std::string*) {
  return "TEXT";
}
const char* kind_of(const std::int64_t*) {
  return "N";
}
const char* kind_of(const double*) {
  return "X";
}
const char* kind_of(const bool*) {
  return "[true|false]";
}
const char* kind_of(const Json*) {
  return "JSON";
}
template <typename T>
const char* kind_of(const std::optional<T>*) {
  return kind_of(static_cast<const T*>(nullptr));
}
template <typename T>
const char* kind_of(const std::vector<T>*) {
  return kind_of(static_cast<const T*>(nullptr));
}

void add_row(std::string& out, const std::string& name, const std::string& text) {
  const auto lines = wrapped(text, kTextWidth - kNameWidth);
  const bool fits = display_width(name) + 2 <= kNameWidth;
  if (!fits) out += name + '\n';
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += padded(i == 0 && fits ? name : "", kNameWidth) + lines[i] + '\n';
  }
}

void add_paragraph(std::string& out, const std::string& text) {
  for (const std::string& line : wrapped(text, kTextWidth)) out += line + '\n';
}

}  // namespace

std::string Option::help_name() const {
  std::string out = "  " + joined(names_) + ' ';
  if (!value_name_.empty() || !target_) return out + value_name_;
  return out + std::visit([](auto* target) { return kind_of(target); }, *target_);
}

std::string Option::help_text() const {
  std::string out = help_;
  if (!choices_.empty()) out += ": " + joined(choices_);
  if (is_list()) out += comma_separated_ ? "; a,b,c or repeated" : "; may be repeated";
  if (required_) return out + " (required)";
  return default_.empty() ? out : out + " (default " + default_ + ")";
}

void Option::remember_default() {
  if (target_) default_ = std::visit([](auto* target) { return shown(*target); }, *target_);
}

std::string Options::help() const {
  std::string out;
  add_paragraph(out, "Usage: " + full_name() + (verbs_.empty() ? "" : " [VERB]") + " [OPTIONS]");
  out += '\n';
  add_paragraph(out, description_);
  if (!verbs_.empty()) {
    out += action_ ? "\nWithout a verb it gives the lesson. Verbs" : "\nOne verb is needed";
    out += " (each has its own --help):\n";
    for (const Options& v : verbs_) add_row(out, "  " + v.name_, v.description_);
  }
  out += "\nOptions:\n";
  std::vector<std::string> refused, ignored;
  for (const Option& o : options_) {
    if (o.target_) {
      add_row(out, o.help_name(), o.help_text());
    } else if (o.any_value_) {
      ignored.push_back(o.names_[0]);
    } else {
      const std::string but = o.choices_.empty() ? "" : " (but as " + joined(o.choices_) + ")";
      refused.push_back(o.names_[0] + but);
    }
  }
  add_row(out, "  --help", "this text");
  if (!refused.empty()) add_paragraph(out, "\nKnown and not supported: " + joined(refused));
  if (!ignored.empty()) add_paragraph(out, "\nTaken and without effect: " + joined(ignored));
  return out;
}

}  // namespace qlora
