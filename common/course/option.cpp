// What one option takes: texts from a command line, values from a configuration file.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "course/options.h"
#include "course/text.h"

namespace qlora {
namespace {

template <typename T>
struct element {
  using type = T;
};
template <typename T>
struct element<std::optional<T>> {
  using type = T;
};
template <typename T>
struct element<std::vector<T>> {
  using type = T;
};
template <typename T>
constexpr bool is_vector = false;
template <typename T>
constexpr bool is_vector<std::vector<T>> = true;

// "--learning-rate" is learning_rate in Python.
std::string python_name(std::string_view name) {
  std::string out(name.substr(std::min(name.find_first_not_of('-'), name.size())));
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

template <typename T>
std::optional<T> from_text(const std::string& text, [[maybe_unused]] const std::string& option) {
  if constexpr (std::is_same_v<T, std::string>) {
    return text;
  } else if constexpr (std::is_same_v<T, Json>) {
    try {
      return Json::parse(text, option);
    } catch (const BadInput&) {
      return std::nullopt;
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "True") return true;
    if (text == "false" || text == "False") return false;
    return std::nullopt;
  } else {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) return std::nullopt;
    }
    return value;
  }
}

template <typename T>
constexpr std::string_view expectation() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, std::int64_t>) return "a whole number";
  if constexpr (std::is_same_v<T, Json>) return "JSON";
  return "a finite number";
}

template <typename T>
T from_json(const Json& value) {
  if constexpr (std::is_same_v<T, std::string>) return value.as_string();
  if constexpr (std::is_same_v<T, bool>) return value.as_bool();
  if constexpr (std::is_same_v<T, std::int64_t>) return value.as_integer();
  if constexpr (std::is_same_v<T, double>) return value.as_number();
  if constexpr (std::is_same_v<T, Json>) return value;
}

// What a value of a configuration file says, in the words of a command line.
std::vector<std::string> words_of(const Json& value) {
  const bool is_container = value.is_array() || value.is_object();
  if (value.is_null() || (is_container && value.size() == 0)) return {};
  if (value.is_string()) return {value.as_string()};
  if (!value.is_array()) return {value.dump()};
  std::vector<std::string> words;
  for (const Json& item : value.as_array()) {
    for (const std::string& word : words_of(item)) words.push_back(word);
  }
  return words;
}

std::vector<std::string> split_at_commas(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      out.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return out;
}

}  // namespace

Option::Option(std::string name, Target target, std::string help)
    : names_{std::move(name)}, target_(target), help_(std::move(help)) {}

Option& Option::required() {
  required_ = true;
  return *this;
}

Option& Option::choices(std::vector<std::string> words) {
  choices_ = std::move(words);
  return *this;
}

Option& Option::alias(std::string name) {
  names_.push_back(std::move(name));
  return *this;
}

Option& Option::spelled(std::string other, std::string word) {
  spellings_.emplace_back(std::move(other), std::move(word));
  return *this;
}

Option& Option::value_name(std::string word) {
  value_name_ = std::move(word);
  return *this;
}

Option& Option::comma_separated() {
  comma_separated_ = true;
  return *this;
}

Option& Option::must(std::string what, std::function<bool(double)> holds) {
  conditions_.push_back({std::move(what), std::move(holds)});
  return *this;
}

Option& Option::at_least(double low) {
  std::string text = std::to_string(low);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return must("be at least " + text, [low](double x) { return x >= low; });
}

bool Option::is_flag() const {
  return target_ && std::visit(
                        [](auto* target) {
                          using T = std::remove_pointer_t<decltype(target)>;
                          return std::is_same_v<typename element<T>::type, bool>;
                        },
                        *target_);
}

bool Option::is_list() const {
  return target_ &&
         std::visit([](auto* target) { return is_vector<std::remove_pointer_t<decltype(target)>>; },
                    *target_);
}

bool Option::is_called(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

// What is wrong with a value of the right kind, or "".
template <typename T>
std::string Option::problem_with(const T& value) const {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!choices_.empty() && std::find(choices_.begin(), choices_.end(), value) == choices_.end()) {
      return "found '" + value + "', expected one of " + joined(choices_);
    }
  } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    for (const Condition& c : conditions_) {
      if (!c.holds(static_cast<double>(value))) return "must " + c.what;
    }
  }
  return "";
}

bool Option::has_python_name(std::string_view name) const {
  return std::any_of(names_.begin(), names_.end(),
                     [&](const std::string& n) { return python_name(n) == name; });
}

// The word that a text is another spelling of, or itself.
template <typename T>
T Option::meant(T value) const {
  if constexpr (std::is_same_v<T, std::string>) {
    for (const auto& [other, word] : spellings_) {
      if (value == other) return word;
    }
  }
  return value;
}

void Option::refuse_unless_harmless(const std::vector<std::string>& texts,
                                    const std::string& file) const {
  const auto is_harmless = [&](const std::string& text) {
    const std::string word = text == "True" ? "true" : text == "False" ? "false" : text;
    return word.empty() || std::ranges::find(choices_, word) != choices_.end();
  };
  if (any_value_ || std::ranges::all_of(texts, is_harmless)) return;
  const std::string but = choices_.empty() ? "" : " but as " + joined(choices_, " or ");
  const std::string name = file.empty() ? names_[0] : file + ": " + python_name(names_[0]);
  throw UsageError(name + " is not supported" + but + ": " + help_);
}

void Option::take(const std::vector<std::string>& texts) {
  on_command_line_ = true;
  if (!target_) return refuse_unless_harmless(texts, "");
  if (!is_list() && texts.size() > 1) throw UsageError(names_[0] + " is given twice");
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        using E = typename element<T>::type;
        const auto value_of = [&](const std::string& text) {
          const std::optional<E> value = from_text<E>(meant(text), names_[0]);
          if (!value) {
            throw UsageError(names_[0] + ": found '" + text + "', expected " +
                             std::string(expectation<E>()));
          }
          const std::string problem = problem_with(*value);
          if (!problem.empty()) throw UsageError(names_[0] + ": " + problem);
          return *value;
        };
        if constexpr (is_vector<T>) {
          target->clear();
          for (const std::string& text : comma_separated_ ? split_at_commas(texts) : texts) {
            target->push_back(value_of(text));
          }
        } else {
          *target = value_of(texts[0]);
        }
      },
      *target_);
}

void Option::take(const Json& value, const std::string& file) {
  in_config_ = true;
  if (!target_) return refuse_unless_harmless(words_of(value), file);
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        using E = typename element<T>::type;
        const auto value_of = [&](const Json& json) {
          E result = meant(from_json<E>(json));
          const std::string problem = problem_with(result);
          if (!problem.empty()) throw BadInput(file, python_name(names_[0]), problem);
          return result;
        };
        if constexpr (is_vector<T>) {
          target->clear();
          if (!value.is_array()) return target->push_back(value_of(value));
          for (const Json& item : value.as_array()) target->push_back(value_of(item));
        } else if constexpr (std::is_same_v<E, std::string>) {
          if (!comma_separated_ || !value.is_array()) {
            *target = value_of(value);
            return;
          }
          std::vector<std::string> words;
          for (const Json& item : value.as_array()) words.push_back(item.as_string());
          *target = joined(words, ",");
        } else {
          *target = value_of(value);
        }
      },
      *target_);
}

}  // namespace qlora
