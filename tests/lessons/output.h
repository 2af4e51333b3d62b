// Output shown in a lesson, held against what the program prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qlora::testing {

using Lines = std::vector<std::string>;

/// What does not agree: a line of the shown output, from 0, and why.
struct Difference {
  std::size_t line = 0;
  std::string problem;
};

/// Whether a shown line is the printed one. The text must be the same, but for the number of
/// spaces. Whole numbers must be the same; others may differ by a millionth or by one unit of their
/// last digit, and must have as many digits behind the point. Any time ("3.2 s", "0:07"), rate
/// ("4,300 tokens/s", "2.4 GB/s"), date and commit stands for any other.
bool same_line(const std::string& shown, const std::string& printed);

/// Where shown output does not agree with what was printed. A line "…" stands for any lines, none
/// too; without one, all lines must be there.
std::optional<Difference> difference(const Lines& shown, const Lines& printed);

/// The shown output as it is now printed: its lines, with what is left out still left out. As it
/// was, where the two agree.
/// @return nothing where the lines between two "…" are no longer found, by their words
std::optional<Lines> updated(const Lines& shown, const Lines& printed);

/// The same for the output of a training, which differs from run to run. Only numbers with a range
/// beside them, "21.8 [15..30]", are looked at: the number in their place must be in the range. The
/// line is the next one that begins with the same words, up to the first such number; words after
/// it mean nothing, nor do lines without a range.
std::optional<Difference> band_difference(const Lines& shown, const Lines& printed);

}  // namespace qlora::testing
