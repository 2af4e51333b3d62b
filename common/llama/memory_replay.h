// An arena that only counts: what stands behind step_memory.
#pragma once

#include <algorithm>

#include "llama/step_memory.h"

namespace qlora {

inline constexpr std::int64_t kFloatBytes = 4;  ///< statistics, losses and ids

/// n, or the next multiple of `to` above it.
inline std::int64_t rounded_up(std::int64_t n, std::int64_t to) {
  return (n + to - 1) / to * to;
}

/// Stands for the arena: the same takes and scopes, and nothing behind them.
class Replay {
 public:
  /// @param rows  of the activations; the shape outlives the replay
  Replay(const TrainingShape& shape, std::int64_t rows)
      : s_(shape), rows_(rows), element_(static_cast<std::int64_t>(size_of(shape.arithmetic))) {}

  /// Takes so many bytes; a multiple of the arena's alignment is used up.
  void bytes(ArenaUse use, std::int64_t n) {
    const auto at = static_cast<std::size_t>(use);
    live_[at] += rounded_up(n, 256);
    found_.most[at] = std::max(found_.most[at], live_[at]);
    std::int64_t total = 0;
    for (const std::int64_t part : live_) total += part;
    if (total <= found_.peak) return;
    found_.peak = total;
    found_.at_peak = live_;
    found_.moment = moment_;
  }
  /// The same in elements of the arithmetic, in columns of as many rows, in numbers of 4 bytes.
  void elements(ArenaUse use, std::int64_t n) { bytes(use, n * element_); }
  void columns(ArenaUse use, std::int64_t n) { elements(use, rows_ * n); }
  void floats(ArenaUse use, std::int64_t n) { bytes(use, n * kFloatBytes); }

  /// f, and then what it took is free again.
  template <typename F>
  void scope(F&& f) {
    const ArenaBytes before = live_;
    f();
    live_ = before;
  }
  /// What comes from here on is this moment of the pass.
  void begin(std::string_view moment) { moment_ = moment; }
  /// Memory of the host beside it.
  void pinned(std::int64_t bytes) { found_.pinned += bytes; }

  /// What is replayed, and what was found.
  const TrainingShape& shape() const { return s_; }
  const LlamaConfig& config() const { return s_.config; }
  std::int64_t rows() const { return rows_; }
  std::int64_t element() const { return element_; }
  bool on_gpu() const { return s_.device == Device::cuda; }
  std::int64_t room(const GroupShape& g) const { return folded_columns(s_, g); }
  const StepMemory& found() const { return found_; }

 private:
  const TrainingShape& s_;
  std::int64_t rows_, element_;
  std::string_view moment_;
  ArenaBytes live_{};
  StepMemory found_;
};

}  // namespace qlora
