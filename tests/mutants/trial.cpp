#include "mutants/trial.h"

#include <filesystem>
#include <optional>
#include <sstream>

#include "core/files.h"
#include "core/json.h"
#include "support/process.h"

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

constexpr double kToolSeconds = 300.0;  // for the compiler and the linker

// The compiler's own word for what is wrong, in one line.
std::string first_error(const std::string& output) {
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    const std::size_t at = line.find("error: ");
    if (at != std::string::npos) return line.substr(at + 7);
    if (line.find("undefined reference") != std::string::npos) return line;
  }
  return output.substr(0, output.find('\n'));
}

Outcome judged(const Ended& suite) {
  if (suite.timed_out) return {Fate::timed_out, "the suite did not end"};
  if (suite.signal != 0) return {Fate::crashed, "signal " + std::to_string(suite.signal)};
  if (suite.exit_code == 0) return {Fate::passed, ""};
  std::string test = failed_test(suite.output);
  // A sanitizer, or exit() in the unit: no test has judged it.
  if (test.empty()) return {Fate::crashed, "exit code " + std::to_string(suite.exit_code)};
  return {Fate::failed, std::move(test)};
}

Outcome tried(const Workshop& shop, const Unit& unit, const std::string& name,
              const std::string& text) {
  const fs::path folder = fs::path(shop.folder) / name;
  fs::create_directories(folder);
  write_atomically(folder / "unit.cpp", text);
  std::vector<std::string> compile = unit.compiler;
  for (const char* word : {"-O1", "-w", "-iquote"}) compile.emplace_back(word);
  compile.push_back(fs::path(unit.source).parent_path());
  std::vector<std::string> link = compile;
  for (const char* word : {"-c", "unit.cpp", "-o", "unit.o"}) compile.emplace_back(word);
  const Ended compiled = run_process(compile, folder, kToolSeconds);
  if (!compiled.ok()) return {Fate::not_compiled, first_error(compiled.output)};

  for (const char* word : {"-o", "suite", "unit.o"}) link.emplace_back(word);
  link.insert(link.end(), unit.objects.begin(), unit.objects.end());
  link.insert(link.end(), unit.libraries.begin(), unit.libraries.end());
  const Ended linked = run_process(link, folder, kToolSeconds);
  if (!linked.ok()) return {Fate::not_linked, first_error(linked.output)};

  return judged(
      run_process({"./suite", "--gtest_fail_fast", "--gtest_color=no"}, folder, shop.seconds));
}

std::optional<Outcome> cached(const std::string& path) {
  if (!fs::exists(path)) return std::nullopt;
  const Json j = Json::read(path);
  return Outcome{static_cast<Fate>(j.at("fate").as_integer()), j.at("detail").as_string()};
}

}  // namespace

std::string failed_test(const std::string& output) {
  const std::string mark = "\n[  FAILED  ] ";
  const std::size_t at = output.find(mark);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + mark.size();
  return output.substr(begin, output.find_first_of(" ,\n", begin) - begin);
}

Outcome try_source(const Workshop& shop, const Unit& unit, const std::string& name,
                   const std::string& text) {
  const std::string key = fingerprint_of(unit.fingerprint + text);
  const std::string path = shop.cache + "/" + key + ".json";
  if (const auto outcome = cached(path)) return *outcome;
  Outcome outcome = tried(shop, unit, name, text);
  fs::remove_all(fs::path(shop.folder) / name);
  if (outcome.fate != Fate::timed_out) {  // that may be the machine's doing
    Json j = Json::object();
    j["fate"] = static_cast<int>(outcome.fate);
    j["detail"] = outcome.detail;
    write_atomically(path, j.dump());
  }
  return outcome;
}

}  // namespace qlora::testing
