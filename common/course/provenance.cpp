#include "course/provenance.h"

#include <fstream>
#include <string_view>

#include "core/parallel.h"
#include "provenance_commit.h"  // written by provenance.cmake at each build

#include "core/files.h"

#ifndef QLORA_UNITS  // set where chapters link a learner's units (cmake/exercises.cmake)
#define QLORA_UNITS ""
#endif

namespace qlora {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown compiler";
#endif
}

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string build_type() {
  constexpr std::string_view type = QLORA_BUILD_TYPE;
  constexpr std::string_view sanitizers = QLORA_SANITIZERS;
  std::string out(type);
  if (!sanitizers.empty()) out.append(" with sanitizers ").append(sanitizers);
  return out;
}

}  // namespace

Provenance provenance() {
  return {QLORA_COMMIT, build_type(), compiler(), processor(), thread_count(), "", QLORA_UNITS};
}

std::string one_line(const Provenance& p) {
  std::string line = "commit " + p.commit + ", " + p.build_type + ", " + p.compiler + ", " +
                     p.processor + ", " + std::to_string(p.threads) +
                     (p.threads == 1 ? " thread" : " threads");
  if (!p.gpu.empty()) line += ", " + p.gpu;
  if (!p.units.empty()) line += ", units: " + p.units;
  return line;
}

Json json(const Provenance& p) {
  Json out = Json::object();
  out["commit"] = p.commit;
  out["build_type"] = p.build_type;
  out["compiler"] = p.compiler;
  out["processor"] = p.processor;
  out["threads"] = p.threads;
  out["gpu"] = p.gpu.empty() ? Json() : Json(p.gpu);
  if (!p.units.empty()) out["units"] = p.units;
  return out;
}

void write_results(const std::string& path, Json results) {
  if (path.empty()) return;
  results["provenance"] = json(provenance());
  write_atomically(path, results.dump(2) + "\n");
}

}  // namespace qlora
