#include "course/ledger.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "core/error.h"
#include "course/text.h"

namespace qlora {
namespace {

constexpr double kRelative = 1e-9;
constexpr std::string_view kNotCheckable = "NOT CHECKABLE OFFLINE";
constexpr std::string_view kVerdicts[] = {"REPRODUCES", "ROUNDS TO", "APPROXIMATE", "WRONG",
                                          kNotCheckable};

std::optional<double> number_or_null(const Json& row, const char* key) {
  const Json* value = row.find(key);
  return value == nullptr ? std::nullopt : std::optional(value->as_number());
}

// Written so that a NaN is not near anything.
bool is_near(double a, double b, double tolerance) {
  return std::abs(a - b) <= std::max(tolerance, kRelative * std::abs(b));
}

// Digits behind the point with which the course prints its number ("12.9 GB": 1). The text is
// searched for the number itself, since it may hold others.
int printed_decimals(const std::string& text, double number) {
  for (std::size_t i = 0; i < text.size();) {
    std::string digits;
    for (; i < text.size() && std::string_view("0123456789.,").find(text[i]) != std::string::npos;
         ++i) {
      if (text[i] != ',') digits += text[i];
    }
    if (!digits.empty() && std::strtod(digits.c_str(), nullptr) == number) {
      const std::size_t point = digits.find('.');
      return point == std::string::npos ? 0 : static_cast<int>(digits.size() - point - 1);
    }
    ++i;
  }
  return 0;
}

bool rounds_to(double computed, double course, const std::string& course_text) {
  const double last_digit = std::pow(10.0, -printed_decimals(course_text, course));
  return is_near(computed, course, 0.5 * last_digit * (1.0 + kRelative));
}

// The shortest text of the number: "255", "3.9215686274509802".
std::string exact(double x) {
  const bool whole = std::abs(x) < 0x1p53 && x == std::floor(x);
  return whole ? std::to_string(static_cast<std::int64_t>(x)) : Json(x).dump();
}

}  // namespace

Ledger::Ledger(const std::string& path) : path_(path) {
  const Json rows = Json::read(path);
  for (const Json& row : rows.as_array()) {
    Claim c;
    c.id = row.at("id").as_string();
    c.kind = row.at("kind").as_string();
    c.claim = row.at("claim").as_string();
    c.course = row.at("course_value").as_string();
    c.right = row.at("computed_value").as_string();
    c.verdict = row.at("verdict").as_string();
    c.note = row.at("note").as_string();
    c.unit = row.at("unit").as_string();
    c.course_number = number_or_null(row, "course_num");
    c.right_number = number_or_null(row, "computed_num");
    if (std::find(std::begin(kVerdicts), std::end(kVerdicts), c.verdict) == std::end(kVerdicts)) {
      throw BadInput(path, c.id,
                     "found the verdict \"" + c.verdict + "\", expected one of " +
                         joined({std::begin(kVerdicts), std::end(kVerdicts)}));
    }
    const auto same = [&](const Claim& other) { return other.id == c.id; };
    if (std::any_of(claims_.begin(), claims_.end(), same)) {
      throw BadInput(path, c.id, "the claim stands twice");
    }
    claims_.push_back(std::move(c));
  }
}

bool Ledger::Claim::has_computed_kind() const {
  return kind == "number" || kind == "formula" || kind == "shape" || kind == "table";
}

const Ledger::Claim& Ledger::find(std::string_view id) const {
  for (const Claim& c : claims_) {
    if (c.id == id) return c;
  }
  throw std::invalid_argument("Ledger: " + path_ + " has no claim " + std::string(id));
}

void Ledger::put(std::string_view id, Outcome outcome) {
  if (outcome.computed.empty()) outcome.failure = "its computed value is empty";
  if (!outcomes_.emplace(id, std::move(outcome)).second) {
    throw std::invalid_argument("Ledger: the claim " + std::string(id) + " got a second value");
  }
}

// What does not hold for a computed number, or "".
std::string Ledger::number_failure(const Claim& c, double right, double computed,
                                   double tolerance) {
  if (!is_near(computed, right, tolerance)) {
    return "computed " + readable(computed, 12) + ", right is " + readable(right, 12);
  }
  if (!c.course_number) return "";
  const double course = *c.course_number;
  if (c.verdict == "REPRODUCES" && !is_near(computed, course, tolerance)) {
    return "computed " + readable(computed, 12) + " does not reproduce " + readable(course, 12);
  }
  if (c.verdict == "ROUNDS TO" && !rounds_to(computed, course, c.course)) {
    return "computed " + readable(computed, 12) + " does not round to " + c.course;
  }
  if (c.verdict == "WRONG" && rounds_to(computed, course, c.course)) {
    return "computed " + readable(computed, 12) + ", and so " + c.course + " is not wrong";
  }
  return "";
}

void Ledger::number(std::string_view id, double computed, double tolerance) {
  const Claim& c = find(id);
  if (!c.right_number) {
    throw std::invalid_argument("Ledger: the claim " + c.id + " has no right number");
  }
  put(id, {exact(computed), computed, number_failure(c, *c.right_number, computed, tolerance)});
}

void Ledger::text(std::string_view id, std::string computed) {
  const Claim& c = find(id);
  std::string failure;
  if (computed != c.right) failure = "computed '" + computed + "', right is '" + c.right + "'";
  put(id, {std::move(computed), std::nullopt, std::move(failure)});
}

void Ledger::checked(std::string_view id, std::string computed, bool holds) {
  const Claim& c = find(id);
  std::string failure;
  if (!holds) failure = "computed '" + computed + "' does not show: " + c.right;
  put(id, {std::move(computed), std::nullopt, std::move(failure)});
}

void Ledger::test(std::string_view id, std::string_view name) {
  put_witness("test:", id, name);
}

void Ledger::experiment(std::string_view id, std::string_view name) {
  put_witness("experiment:", id, name);
}

void Ledger::put_witness(const char* sort, std::string_view id, std::string_view name) {
  const Claim& c = find(id);
  if (c.has_computed_kind() && c.verdict != kNotCheckable) {
    throw std::invalid_argument("Ledger: the claim " + c.id + " is a " + c.kind +
                                " and must be computed");
  }
  put(id, {sort + std::string(name), std::nullopt, ""});
}

void Ledger::not_checkable(std::string_view id, std::string reason, std::string check_with) {
  const Claim& c = find(id);
  const bool may_be_left = c.verdict == "REPRODUCES" && !c.has_computed_kind();
  if (c.verdict != kNotCheckable && !may_be_left) {
    throw std::invalid_argument("Ledger: the claim " + c.id + " can be checked: " + c.verdict);
  }
  if (reason.empty() || check_with.empty()) {
    throw std::invalid_argument("Ledger: the claim " + c.id +
                                " needs a reason, and what is run to check it");
  }
  if (!undecided_.emplace(id, Undecided{std::move(reason), std::move(check_with)}).second) {
    throw std::invalid_argument("Ledger: the claim " + c.id + " got a second reason");
  }
}

void Ledger::has_own_table(std::string_view id_prefix) {
  own_tables_.emplace_back(id_prefix);
}

const Ledger::Outcome* Ledger::outcome_of(const Claim& c) const {
  static const Outcome kNone{"not checkable offline", std::nullopt, ""};
  const auto found = outcomes_.find(c.id);
  if (found != outcomes_.end()) return &found->second;
  return undecided(c) == nullptr ? nullptr : &kNone;
}

const Ledger::Undecided* Ledger::undecided(const Claim& c) const {
  const auto found = undecided_.find(c.id);
  return found == undecided_.end() ? nullptr : &found->second;
}

std::string Ledger::verdict_of(const Claim& c) const {
  const Outcome* outcome = outcome_of(c);
  if (outcome == nullptr) return "NO VALUE";
  if (!outcome->failure.empty()) return "FAILED";
  return undecided(c) == nullptr ? c.verdict : std::string(kNotCheckable);
}

Json Ledger::json() const {
  Json rows = Json::array();
  for (const Claim& c : claims_) {
    Json row = Json::object();
    row["id"] = c.id;
    row["course"] = c.course;
    const Outcome outcome = outcome_of(c) == nullptr ? Outcome{} : *outcome_of(c);
    row["computed"] = outcome.computed;
    if (outcome.value) {
      row["value"] = *outcome.value;
      row["unit"] = c.unit;
    }
    row["verdict"] = verdict_of(c);
    if (const Undecided* u = undecided(c)) {
      row["reason"] = u->reason;
      row["check_with"] = u->check_with;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void Ledger::check() const {
  std::vector<std::string> problems;
  for (const Claim& c : claims_) {
    const Outcome* outcome = outcome_of(c);
    if (outcome == nullptr) {
      problems.push_back(c.id + " got no computed value");
    } else if (!outcome->failure.empty()) {
      problems.push_back(c.id + ": " + outcome->failure);
    } else if (c.verdict == kNotCheckable && undecided(c) == nullptr) {
      problems.push_back(c.id + " does not say why it cannot be checked, and what does");
    }
  }
  if (problems.empty()) return;
  throw Error(ExitCode::check_failed, std::to_string(problems.size()) + " of " +
                                          std::to_string(claims_.size()) +
                                          " claims failed: " + joined(problems, "; "));
}

}  // namespace qlora
