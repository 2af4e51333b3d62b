#include "mutants/mutant.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/json.h"

namespace qlora::testing {
namespace {

constexpr std::array<std::string_view, 6> kMembers = {"id",  "find",       "replace",
                                                      "why", "equivalent", "crash_kills"};

Mutant read_mutant(const Json& row) {
  for (const auto& [name, value] : row.as_object()) {
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
      value.reject("id, find, replace, why, equivalent or crash_kills");
    }
  }
  const auto text = [&](const char* name) {
    if (row.at(name).as_string().empty()) row.at(name).reject("a text that is not empty");
    return row.at(name).as_string();
  };
  Mutant m{text("id"), text("find"), row.at("replace").as_string(), text("why"), "", false};
  if (m.find == m.replace) row.at("replace").reject("another text than find");
  if (row.find("equivalent") != nullptr) m.equivalent = text("equivalent");
  if (const Json* crash = row.find("crash_kills")) m.crash_kills = crash->as_bool();
  return m;
}

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

}  // namespace

std::vector<Mutant> read_mutants(const std::string& path) {
  std::vector<Mutant> mutants;
  const Json list = Json::read(path);
  for (const Json& row : list.as_array()) {
    Mutant m = read_mutant(row);
    const auto same = [&](const Mutant& other) { return other.id == m.id; };
    if (std::any_of(mutants.begin(), mutants.end(), same)) {
      throw BadInput(path, m.id, "the id stands twice");
    }
    mutants.push_back(std::move(m));
  }
  return mutants;
}

std::size_t occurrences(std::string_view source, std::string_view find) {
  std::size_t count = 0;
  for (std::size_t at = source.find(find); at != std::string_view::npos;
       at = source.find(find, at + 1)) {
    ++count;
  }
  return count;
}

std::string mutated(const std::string& source, const Mutant& mutant) {
  std::string text = source;
  const std::size_t at = text.find(mutant.find);
  require(at != std::string::npos, "mutated", "a source that holds the mutant's text");
  return text.replace(at, mutant.find.size(), mutant.replace);
}

std::size_t lines_of_code(std::string_view source) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < source.size();) {
    const std::size_t end = std::min(source.find('\n', at), source.size());
    std::string_view line = source.substr(at, end - at);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    at = end + 1;
    const bool is_code = !line.empty() && !begins(line, "//") && !begins(line, "#") &&
                         !begins(line, "namespace") && !begins(line, "}");
    if (is_code) ++count;
  }
  return count;
}

std::size_t mutants_needed(std::string_view source) {
  return lines_of_code(source) < 15 ? 4 : 8;
}

}  // namespace qlora::testing
