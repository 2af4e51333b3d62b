#include "row.h"

#include <fmt/core.h>
#include <string.h>
#include <sys/random.h>

#include <array>

#include "core/error.h"
#include "process.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

constexpr std::array kStates = {State::pass, State::fail,    State::crash,
                                State::todo, State::skipped, State::missing};

std::string random_number() {
  std::array<unsigned char, 16> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw MachineLacks("random numbers: the system gave none");
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Command command_of(const fs::path& program, const std::string& test, const fs::path& scratch) {
  Command command;
  command.arguments = {program.string(), "--gtest_filter=" + test, "--gtest_color=no"};
  command.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + scratch.string(),
                         "TMPDIR=" + scratch.string(), "QLORA_THREADS=2"};
#if QLORA_SANITIZED
  // By default it would set a limit at its start, and trace itself at its end.
  command.environment.emplace_back("ASAN_OPTIONS=disable_coredump=0:detect_leaks=0");
#endif
  command.folder = scratch;
  const fs::path root = QLORA_SOURCE_DIR;
  command.sandbox.readable = {program.string(), root / "tests" / "golden", root / "data"};
  command.sandbox.writable = {scratch.string()};
  return command;
}

std::string how_it_crashed(const Ended& ended, double seconds) {
  if (ended.killed == "time") return fmt::format("it took more than {:g} s", seconds);
  if (ended.killed == "memory") return "it took too much memory";
  if (ended.killed == "disk") return "it wrote too much";
  if (ended.signal != 0)
    return fmt::format("signal {} ({})", ended.signal, ::strsignal(ended.signal));
  return fmt::format("the program ended, with exit code {}, before the test did", ended.code);
}

std::size_t utf8_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

// Bytes of the code point at i, 0 where there is none. Surrogates and overlong forms are no text.
std::size_t code_point(const std::string& text, std::size_t i) {
  const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const std::size_t length = utf8_length(at(i));
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((at(i + k) & 0xc0) != 0x80) return 0;
  }
  if (length == 3 && at(i) == 0xe0 && at(i + 1) < 0xa0) return 0;
  if (length == 3 && at(i) == 0xed && at(i + 1) >= 0xa0) return 0;
  if (length == 4 && at(i) == 0xf0 && at(i + 1) < 0x90) return 0;
  if (length == 4 && at(i) == 0xf4 && at(i + 1) >= 0x90) return 0;
  return length;
}

}  // namespace

std::string word(State state) {
  switch (state) {
    case State::pass:
      return "pass";
    case State::fail:
      return "FAIL";
    case State::crash:
      return "CRASH";
    case State::todo:
      return "todo";
    case State::skipped:
      return "skipped";
    case State::missing:
      break;
  }
  return "MISSING";
}

std::string printable(const std::string& text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < limit;) {
    const std::size_t length = code_point(text, i);
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too.
    const bool control =
        (length == 1 && (c < 0x20 || c == 0x7f) && c != '\n') ||
        (length == 2 && c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0);
    if (length == 0 || control) {
      out += c == '\t' ? ' ' : '?';
    } else {
      out.append(text, i, length);
    }
    i += std::max<std::size_t>(length, 1);
  }
  return out;
}

RowResult run_row(const fs::path& program, const std::string& test, double seconds,
                  const Settings& settings) {
  const ScratchFolder scratch;
  Command command = command_of(program, test, scratch.path());
  command.seconds = settings.seconds > 0.0 ? settings.seconds : seconds;
  command.row = random_number();
  const Ended ended = run_limited(command);

  RowResult result{State::crash, "", ended.seconds};
  const std::string mark = "\n" + command.row + " ";
  if (const std::size_t at = ended.report.find(mark); at != std::string::npos) {
    const std::size_t begin = at + mark.size();
    const std::size_t end = ended.report.find('\n', begin);
    const std::string state = ended.report.substr(begin, end - begin);
    for (const State candidate : kStates) {
      if (word(candidate) != state || end == std::string::npos) continue;
      return {candidate, printable(ended.report.substr(end + 1)), ended.seconds};
    }
  }
  result.message = how_it_crashed(ended, command.seconds);
  if (!ended.output.empty() && ended.killed.empty()) {
    // The end of it: what a sanitizer or the C library said last.
    const std::size_t from = ended.output.size() > 1500 ? ended.output.size() - 1500 : 0;
    result.message += "\n" + printable(ended.output.substr(from));
  }
  return result;
}

}  // namespace qlora::grader
