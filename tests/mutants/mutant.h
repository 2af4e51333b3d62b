// Mutants: mistakes that are really made, each a replacement of text in a unit of the library.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qlora::testing {

/// A mistake.
struct Mutant {
  std::string id;
  std::string find;          ///< stands in the unit exactly once
  std::string replace;       ///< what stands there in the mutant
  std::string why;           ///< what mistake it is; with crash_kills, why it may crash
  std::string equivalent;    ///< why no test can tell it from the unit; empty: one must
  bool crash_kills = false;  ///< a crash or the time limit kills it too
};

/// The list of a unit: [{"id", "find", "replace", "why"[, "equivalent"][, "crash_kills"]} …].
/// @throws BadInput on members that are missing, empty (but for replace) or not known, and on an id
///         that stands twice
std::vector<Mutant> read_mutants(const std::string& path);

/// How often `find` stands in `source`, overlapping ones counted.
std::size_t occurrences(std::string_view source, std::string_view find);

/// The mutant's source. @pre its `find` stands in `source`
std::string mutated(const std::string& source, const Mutant& mutant);

/// The lines of a C++ source that are neither blank nor a comment, a directive, a namespace or a
/// lone closing brace.
std::size_t lines_of_code(std::string_view source);

/// The mutants that a unit must have at least: eight, or four where it has under fifteen lines.
std::size_t mutants_needed(std::string_view source);

}  // namespace qlora::testing
