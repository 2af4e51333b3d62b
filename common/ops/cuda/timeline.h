// The parts of a step as the GPU meets them: an event on the stream wherever one begins or ends.
#pragma once

#include <vector>

#include "ops/timeline.h"

namespace qlora::cuda {

/// What is put on the stream while it lives is a part's work, but for what another one that begins
/// and ends meanwhile covers. Costs a branch unless a timeline was started.
class Timed {
 public:
  /// Begins the part; the end of this ends it.
  explicit Timed(ops::Part part);
  ~Timed();
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  bool noted_;
};

/// See ops::start_timeline.
void start_timeline();

/// See ops::take_timeline.
std::vector<ops::PartTime> take_timeline();

}  // namespace qlora::cuda
