// Progress of a long run: a bar on a terminal, now and then a line elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace qlora {

/// What one line of progress says.
struct ProgressState {
  std::string label;       ///< "train"
  std::string unit;        ///< what is counted, in the plural: "steps"
  std::int64_t first = 0;  ///< done before this run (of a resumed one): not counted in the rate
  std::int64_t done = 0;   ///< of the total, those before this run among them
  std::int64_t total = 0;  ///< 0: not known
  double seconds = 0.0;    ///< since the start of this run
  bool finished = false;   ///< the time it took stands instead of the time that is left
  std::string text;        ///< "loss 1.234  lr 1.0e-3"
};

/// "train [=====>----] 45 %  120/267 steps  3.21 steps/s  0:45 left  loss 1.234", without the bar
/// where `bar` is false. At most `width` columns; what does not fit is cut from the end.
std::string progress_line(const ProgressState& state, std::size_t width, bool bar);

/// Draws at most ten times a second on a terminal, within its width and 100 columns. Elsewhere, and
/// where TERM is dumb, it writes a line each tenth of the way and at least one each 30 seconds.
class Progress {
 public:
  /// @param unit   what is counted, in the plural
  /// @param first  what was done before this run
  Progress(std::string label, std::int64_t total, std::string unit, std::int64_t first = 0,
           std::FILE* out = stderr);
  /// From here on nothing is drawn by this process: another of the same run does.
  static void mute();
  /// Ends the line where finish() was not reached, so that an error stands on its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total are done.
  void update(std::int64_t done) {
    state_.done = done;
    if (is_due()) draw();
  }
  /// `text()` gives the free text; it is called only where something is drawn.
  template <typename F>
  void update(std::int64_t done, F&& text) {
    state_.done = done;
    if (!is_due()) return;
    state_.text = text();
    draw();
  }
  /// The last line, with the time that it took and how far it came.
  void finish();
  void finish(std::string text);

 private:
  using Clock = std::chrono::steady_clock;
  bool is_due() const;
  void draw();

  ProgressState state_;
  std::FILE* out_;
  bool terminal_;
  bool line_open_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_ = start_;
  std::int64_t next_line_ = 0;
};

}  // namespace qlora
