// `./course run --json FILE`: one file with every claim of the course, with a value, or with the
// reason why it cannot be checked here and commands that exist. The main job is run on few items,
// by itself.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// A build folder for the course script: the chapters that stand beside this test, and the note by
// which the script knows them to be up to date.
fs::path built_chapters() {
  const fs::path release = testing::scratch() / "build" / "release";
  fs::create_directories(release);
  fs::create_directory_symlink(QLORA_BIN, release / "bin");
  const bool gpu = fs::exists("/dev/nvidiactl") || fs::exists("/dev/dxg");
  std::ofstream(release / "built-from") << QLORA_SOURCE_DIR << (gpu ? " with a GPU\n" : "\n");
  return release.parent_path();
}

// What --json wrote, of these words behind the program.
Json results_of(std::vector<std::string> words) {
  const fs::path file = testing::scratch() / (words.back() + ".json");
  words.insert(words.end(), {"--json", file.string()});
  const testing::Ended ended = testing::run_process(words, testing::scratch().string(), 240);
  EXPECT_TRUE(ended.ok()) << ended.output;
  return Json::read(file.string());
}

// The help of a verb by the words behind `./course run`: "12 train", "17 experiment forgetting".
class Help {
 public:
  const std::string& of(const std::string& number, const std::string& verb) {
    std::string& text = texts_[number + " " + verb];
    if (!text.empty()) return text;
    std::vector<std::string> words{program(number)};
    std::istringstream in(verb);
    for (std::string word; in >> word;) words.push_back(word);
    words.push_back("--help");
    const testing::Ended ended = testing::run_process(words, testing::scratch().string(), 60);
    EXPECT_TRUE(ended.ok()) << number << " " << verb << ": " << ended.output;
    return text = ended.output;
  }

 private:
  static std::string program(const std::string& number) {
    const std::string begin = (number.size() == 1 ? "ch0" : "ch") + number + "_";
    for (const auto& file : fs::directory_iterator(QLORA_BIN)) {
      if (file.path().filename().string().starts_with(begin)) return file.path();
    }
    ADD_FAILURE() << "there is no chapter " << number;
    return "false";
  }
  std::map<std::string, std::string> texts_;
};

// Every `./course run N VERB [NAME] --option …` in a text, up to a semicolon or the next one: the
// verb and the options must be there.
void expect_commands_exist(const std::string& id, const std::string& text, Help& help) {
  static const std::regex kCommand(
      R"(\./course run ([0-9]+) (experiment [a-z-]+|[a-z-]+)((?:(?!\./course run)[^;])*))");
  static const std::regex kOption("--[a-z][a-z0-9-]*");
  const std::sregex_iterator end;
  for (std::sregex_iterator c(text.begin(), text.end(), kCommand); c != end; ++c) {
    const std::string verb = (*c)[2].str(), rest = (*c)[3].str();
    const std::string& options = help.of((*c)[1].str(), verb);
    EXPECT_NE(options.find(" " + verb + " [OPTIONS]"), std::string::npos) << id << ": " << verb;
    for (std::sregex_iterator o(rest.begin(), rest.end(), kOption); o != end; ++o) {
      EXPECT_TRUE(std::regex_search(options, std::regex(o->str() + "[, ]")))
          << id << ": " << verb << " has no " << o->str();
    }
  }
}

TEST(RunJson, HasEachClaimOfTheCourseOnceWithAValue) {
  const std::string build = "QLORA_BUILD_DIR=" + built_chapters().string();
  const std::string course = QLORA_SOURCE_DIR "/course";
  Json merged = results_of({"env", build, course, "run", "1-11"});
  const Json later = results_of({"env", build, course, "run", "13-17"});
  for (const auto& [chapter, results] : later.as_object()) merged[chapter] = results;
  const std::string main_job = "12_qlora_finetuning";
  merged[main_job] = results_of({QLORA_BIN "/ch" + main_job, "--items", "16", "--test-items", "2"});

  Help help;
  std::map<std::string, std::string> computed;
  for (const auto& [chapter, results] : merged.as_object()) {
    const Json claims = Json::read(QLORA_SOURCE_DIR "/chapters/" + chapter + "/numbers.json");
    std::set<std::string> expected;
    for (const Json& claim : claims.as_array()) {
      expected.insert(claim.at("id").as_string());
    }
    std::set<std::string> found;
    for (const Json& row : results.at("claims").as_array()) {
      const std::string& id = row.at("id").as_string();
      EXPECT_TRUE(found.insert(id).second) << id << " stands twice in " << chapter;
      EXPECT_TRUE(computed.emplace(id, row.at("computed").as_string()).second)
          << id << " stands in two chapters";
      EXPECT_NE(computed[id], "") << id;
      EXPECT_NE(row.at("verdict").as_string(), "") << id;
      if (row.at("verdict").as_string() != "NOT CHECKABLE OFFLINE") continue;
      EXPECT_NE(row.at("reason").as_string(), "") << id;
      EXPECT_NE(row.at("check_with").as_string(), "") << id;
      expect_commands_exist(id, row.at("check_with").as_string(), help);
    }
    EXPECT_EQ(found, expected) << chapter;
  }
  EXPECT_EQ(computed.size(), 349u);
}

}  // namespace
}  // namespace qlora
