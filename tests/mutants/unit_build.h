// What the build knows about a unit: how it is compiled, and what it is linked with.
#pragma once

#include <string>
#include <vector>

namespace qlora::testing {

/// A unit of an exercise, its suite, and the build's objects around it. All paths are absolute.
struct Unit {
  std::string name;                    ///< "01_min_max_quantization/affine"
  std::string source;                  ///< the reference, or the adapter around a transfer's oracle
  std::string mutants;                 ///< the list of its mutants
  std::vector<std::string> compiler;   ///< the command that compiles it, without input and output
  std::vector<std::string> objects;    ///< the suite and every other unit, from the build
  std::vector<std::string> libraries;  ///< those that the suite links
  std::string fingerprint;             ///< changes with the objects, the libraries and the flags
};

/// The units of a list that the build generated (mutants.cmake):
/// {"compile_commands", "seconds", "units": [{"name", "source", "mutants", "object", "objects",
/// "libraries"}]}.
/// @throws BadInput, also where an object is not there or the build does not compile the source
std::vector<Unit> read_units(const std::string& path);

/// 64 bits of FNV-1a over the bytes, as hexadecimal digits.
std::string fingerprint_of(const std::string& bytes);

}  // namespace qlora::testing
