#include "witnesses/witnesses.h"

#include <filesystem>
#include <regex>

#include "core/files.h"

namespace qlora::testing {
namespace {

constexpr std::string_view kTest = "test:";
constexpr std::string_view kExperiment = "experiment:";

bool begins(const std::string& text, std::string_view with) {
  return text.compare(0, with.size(), with) == 0;
}

bool offers(const ChapterClaims& chapter, const std::string& experiment) {
  if (chapter.results.find(experiment) != nullptr) return true;
  static const std::regex kSpecial(R"([.^$|()\[\]{}*+?\\])");
  const std::string literal = std::regex_replace(experiment, kSpecial, R"(\$&)");
  return std::regex_search(chapter.experiments,
                           std::regex("(^|[^A-Za-z0-9_-])" + literal + "($|[^A-Za-z0-9_-])"));
}

// What is wrong with a value, or "".
std::string problem_with_value(const ChapterClaims& chapter, const std::string& computed,
                               const Outcomes& outcomes) {
  if (computed.empty()) return "has no computed value";
  if (begins(computed, kTest)) return outcomes.problem_with(computed.substr(kTest.size()));
  if (begins(computed, kExperiment)) {
    const std::string name = computed.substr(kExperiment.size());
    if (!offers(chapter, name)) return "there is no experiment " + name;
  }
  return "";
}

}  // namespace

std::string Outcomes::problem_with(const std::string& test) const {
  if (tests_.count(test) == 0) return "there is no test " + test;
  const std::string report = folder_ + "/" + test + ".xml";
  if (!std::filesystem::exists(report)) return "the test " + test + " has not run";
  const std::string text = read_file(report);
  const auto has = [&](const char* part) { return text.find(part) != std::string::npos; };
  if (has("<failure") || has("<error")) return "the test " + test + " failed";
  if (has("<skipped") || has("result=\"skipped\"") || has("status=\"notrun\"")) {
    return "the test " + test + " was skipped";
  }
  return has("result=\"completed\"") ? "" : "the test " + test + " has not run";
}

std::vector<std::string> problems_with_claims(const ChapterClaims& chapter,
                                              const Outcomes& outcomes) {
  std::vector<std::string> problems;
  const auto complain = [&](const std::string& id, const std::string& problem) {
    if (!problem.empty())
      problems.push_back("chapter " + chapter.name + ", " + id + ": " + problem);
  };
  std::map<std::string, int> rows;
  const Json* claims = chapter.results.find("claims");
  for (const Json& row : claims == nullptr ? Json::Array{} : claims->as_array()) {
    const std::string& id = row.at("id").as_string();
    ++rows[id];
    complain(id, problem_with_value(chapter, row.at("computed").as_string(), outcomes));
  }
  for (const Json& claim : chapter.numbers.as_array()) {
    const std::string& id = claim.at("id").as_string();
    if (rows[id] != 1) complain(id, "has " + std::to_string(rows[id]) + " rows in the results");
    rows.erase(id);
  }
  for (const auto& [id, count] : rows) complain(id, "is not a claim of this chapter");
  return problems;
}

std::vector<std::string> problems_with_ids(
    const std::map<std::string, std::vector<std::string>>& ids) {
  std::vector<std::string> problems;
  std::map<std::string, std::string> owner;
  for (const auto& [chapter, claims] : ids) {
    for (const std::string& id : claims) {
      const auto [first, is_new] = owner.emplace(id, chapter);
      if (is_new) continue;
      problems.push_back(std::string(id)
                             .append(": is a claim of chapter ")
                             .append(first->second)
                             .append(" and of ")
                             .append(chapter));
    }
  }
  return problems;
}

std::vector<std::string> problems_with_source(const std::string& file, const std::string& text) {
  static const std::regex kReads(R"(^(?!\s*//).*(computed_value|computed_num|numbers\.json).*$)");
  std::vector<std::string> problems;
  std::size_t number = 0, at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    ++number;
    at = end + 1;
    std::smatch match;
    if (!std::regex_match(line, match, kReads)) continue;
    problems.push_back(file + ":" + std::to_string(number) + ": reads " + match[1].str() +
                       ", which is the ledger's to read");
  }
  return problems;
}

}  // namespace qlora::testing
