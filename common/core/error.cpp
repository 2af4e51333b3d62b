#include "core/error.h"

namespace qlora {
namespace {

// A file's text may hold control characters; a message is one line.
std::string one_line(std::string_view text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20 || byte == 0x7f) ? '?' : c;
  }
  return out;
}

std::string joined(std::string_view file, std::string_view place, std::string_view problem) {
  std::string line;
  for (std::string_view part : {file, place}) {
    if (!part.empty()) line += one_line(part) + ": ";
  }
  return line + one_line(problem);
}

}  // namespace

BadInput::BadInput(std::string_view file, std::string_view place, std::string_view problem)
    : Error(ExitCode::bad_input, joined(file, place, problem)) {}

void require(bool condition, const char* function, const char* what) {
  if (!condition) throw std::invalid_argument(std::string(function) + " requires " + what);
}

}  // namespace qlora
