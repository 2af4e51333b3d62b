#include "course/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "course/text.h"

namespace qlora {
namespace {

constexpr auto kBetweenDraws = std::chrono::milliseconds(100);
constexpr auto kBetweenLines = std::chrono::seconds(30);
constexpr std::size_t kBar = 24;

bool is_terminal(std::FILE* out) {
  const char* kind = std::getenv("TERM");
  return ::isatty(::fileno(out)) == 1 && kind != nullptr && std::strcmp(kind, "dumb") != 0;
}

// One column is left free: a terminal wraps after its last one.
std::size_t width_of(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kTextWidth;
  return std::min<std::size_t>(kTextWidth, size.ws_col - 1u);
}

std::string bar_of(double share) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBar));
  std::string bar = std::string(filled, '=') + std::string(kBar - filled, '-');
  if (filled < kBar) bar[filled] = '>';
  return " [" + bar + "]";
}

// "3.21 steps/s", or "4.50 s for one" of what takes longer.
std::string rate_of(const ProgressState& s) {
  if (s.seconds < 0.01 || s.done <= s.first) return "";  // too soon to tell
  const double rate = static_cast<double>(s.done - s.first) / s.seconds;
  if (rate < 1.0) return "  " + readable(1.0 / rate, 3) + " s each";
  return "  " + (rate < 1000.0 ? readable(rate, 3) : grouped(std::llround(rate))) + " " + s.unit +
         "/s";
}

std::string time_of(const ProgressState& s) {
  const std::int64_t counted = s.done - s.first;
  if (s.finished || s.total <= 0 || counted <= 0) return "  " + clock_time(s.seconds);
  const double each = s.seconds / static_cast<double>(counted);
  return "  " + clock_time(each * static_cast<double>(s.total - s.done)) + " left";
}

bool muted = false;  // this process draws nothing

}  // namespace

std::string progress_line(const ProgressState& s, std::size_t width, bool bar) {
  std::string line = s.label;
  if (s.total > 0) {
    const double share =
        std::clamp(static_cast<double>(s.done) / static_cast<double>(s.total), 0.0, 1.0);
    if (bar && width >= 3 * kBar) line += bar_of(share);
    line += ' ' + std::to_string(static_cast<int>(100.0 * share)) + " %  " + grouped(s.done) + '/' +
            grouped(s.total) + ' ' + s.unit;
  } else {
    line += "  " + grouped(s.done) + " " + s.unit;
  }
  line += rate_of(s) + time_of(s);
  if (!s.text.empty()) line += "  " + s.text;
  return std::string(fitting(line, width));
}

void Progress::mute() {
  muted = true;
}

Progress::Progress(std::string label, std::int64_t total, std::string unit, std::int64_t first,
                   std::FILE* out)
    : out_(out), terminal_(is_terminal(out)) {
  state_.label = std::move(label);
  state_.unit = std::move(unit);
  state_.first = first;
  state_.done = first;
  state_.total = total;
  next_line_ = first + 1;
  if (!terminal_) next_draw_ = start_ + kBetweenLines;
}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', out_);
}

bool Progress::is_due() const {
  if (muted) return false;
  // the line of the whole way is finish()'s
  if (!terminal_ && state_.done >= next_line_ && state_.done < state_.total) return true;
  return Clock::now() >= next_draw_;
}

void Progress::draw() {
  if (muted) return;
  const auto now = Clock::now();
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  std::fflush(stdout);  // what was printed before stands before
  if (terminal_) {
    std::fprintf(out_, "\r%s\x1b[K", progress_line(state_, width_of(out_), true).c_str());
    next_draw_ = now + kBetweenDraws;
    line_open_ = true;
  } else {
    std::fprintf(out_, "%s\n", progress_line(state_, std::string::npos, false).c_str());
    next_draw_ = now + kBetweenLines;
    const std::int64_t tenths = state_.done * 10 / std::max<std::int64_t>(state_.total, 1);
    next_line_ = std::max(((tenths + 1) * state_.total + 9) / 10, state_.done + 1);
  }
  std::fflush(out_);
}

void Progress::finish() {
  if (state_.finished) return;
  state_.finished = true;
  draw();
  if (line_open_) std::fputc('\n', out_);
  line_open_ = false;
}

void Progress::finish(std::string text) {
  state_.text = std::move(text);
  finish();
}

}  // namespace qlora
