#include "ops/cuda/timeline.h"

#include <map>
#include <optional>

#include "ops/cuda/device.h"

namespace qlora::cuda {
namespace {

// The stream's time cut by events: owners[i] is the part that the time from events[i] to the next
// one belongs to, the innermost of those that are open.
struct Timeline {
  bool is_on = false;
  std::vector<ops::Part> open;
  std::vector<std::optional<ops::Part>> owners;
  std::vector<cudaEvent_t> events;    // as many as a step ever needed: the next one has as many
  cudaError_t problem = cudaSuccess;  // the first; told by take_timeline(), for Timed ends silently

  void cut() {
    if (owners.size() == events.size()) {
      cudaEvent_t made = nullptr;
      note(cudaEventCreate(&made));
      events.push_back(made);
    }
    if (problem == cudaSuccess) note(cudaEventRecord(events[owners.size()], stream()));
    owners.push_back(open.empty() ? std::nullopt : std::optional(open.back()));
  }

  void note(cudaError_t code) {
    if (problem == cudaSuccess) problem = code;
  }
};

Timeline& timeline() {
  static auto& one = *new Timeline;  // at the end of the process the driver may be gone before
  return one;
}

}  // namespace

Timed::Timed(ops::Part part) : noted_(timeline().is_on) {
  if (!noted_) return;
  timeline().open.push_back(part);
  timeline().cut();
}

Timed::~Timed() {
  if (!noted_) return;
  timeline().open.pop_back();
  timeline().cut();
}

void start_timeline() {
  Timeline& t = timeline();
  t.owners.clear();
  t.is_on = true;
}

std::vector<ops::PartTime> take_timeline() {
  Timeline& t = timeline();
  t.is_on = false;
  constexpr const char* op = "timeline";
  check(t.problem, op);
  if (t.owners.empty()) return {};
  synchronize();
  std::map<ops::Part, double> seconds;
  for (std::size_t i = 0; i + 1 < t.owners.size(); ++i) {
    if (!t.owners[i]) continue;
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, t.events[i], t.events[i + 1]), op);
    seconds[*t.owners[i]] += 1e-3 * static_cast<double>(milliseconds);
  }
  t.owners.clear();
  std::vector<ops::PartTime> parts;
  for (const auto& [part, sum] : seconds) parts.push_back({part, sum});
  return parts;
}

}  // namespace qlora::cuda
