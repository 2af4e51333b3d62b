#include "mutants/unit_build.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "support/process.h"

namespace qlora::testing {
namespace {

// The elements that CMake's conditions left empty are dropped.
std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> out;
  for (const Json& item : list.as_array()) {
    if (!item.as_string().empty()) out.push_back(item.as_string());
  }
  return out;
}

// The command that compiles a source, without "-o object -c source".
std::vector<std::string> compiler_of(const Json& commands, const std::string& source) {
  for (const Json& entry : commands.as_array()) {
    if (entry.at("file").as_string() != source) continue;
    std::vector<std::string> words = shell_words(entry.at("command").as_string());
    for (const char* option : {"-o", "-c"}) {
      const auto at = std::find(words.begin(), words.end(), option);
      if (at != words.end() && at + 1 != words.end()) words.erase(at, at + 2);
    }
    return words;
  }
  throw BadInput(source, "", "the build does not compile it");
}

std::string fingerprint_of_file(const std::string& object) {
  const auto file = MappedFile::open(object);
  return fingerprint_of({reinterpret_cast<const char*>(file->data()), file->size()});
}

}  // namespace

std::string fingerprint_of(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

std::vector<Unit> read_units(const std::string& path) {
  const Json list = Json::read(path);
  const Json commands = Json::read(list.at("compile_commands").as_string());
  std::map<std::string, std::string> known;  // fingerprints: units share most objects
  std::vector<Unit> units;
  for (const Json& row : list.at("units").as_array()) {
    Unit unit;
    unit.name = row.at("name").as_string();
    unit.source = row.at("source").as_string();
    unit.mutants = row.at("mutants").as_string();
    unit.compiler = compiler_of(commands, unit.source);
    unit.objects = texts(row.at("objects"));
    unit.libraries = texts(row.at("libraries"));
    std::string prints;
    for (const std::string& object : unit.objects) {
      if (known[object].empty()) known[object] = fingerprint_of_file(object);
      prints += known[object];
    }
    for (const std::string& word : unit.compiler) prints += word + ' ';
    for (const std::string& library : unit.libraries) prints += library + ' ';
    unit.fingerprint = fingerprint_of(prints);
    // Its own object stands for the headers that it includes; the mutants take its place.
    if (std::erase(unit.objects, row.at("object").as_string()) != 1) {
      row.at("object").reject("one of the objects");
    }
    units.push_back(std::move(unit));
  }
  return units;
}

}  // namespace qlora::testing
