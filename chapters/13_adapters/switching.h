// Two adapters beside one base, and what is left of it.
#pragma once

#include <string>
#include <vector>

namespace qlora::chapter13 {

/// A base with some adapters on it, or merged into it.
struct Switched {
  std::string name;    ///< what is on it
  double first = 0;    ///< the loss on the first adapter's text
  double second = 0;   ///< and on the second's
  double changed = 0;  ///< share of the linear layers' weights that differ from the start
  double off = 0;      ///< ‖weights − those of the start‖ / ‖those of the start‖
};

/// The embedded model in float32, and two adapters of rank 4 that learned one description of a
/// product each: switched by take_adapters and put_adapters, then merged and taken out again.
std::vector<Switched> switched(const std::string& model);

}  // namespace qlora::chapter13
