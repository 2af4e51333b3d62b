// Figures of quantization: number lines with the levels of each format, below a histogram of the
// values that they shall stand for.
#pragma once

#include <string>
#include <vector>

namespace qlora {

/// The levels of one format, on a number line of its own.
struct LevelLine {
  std::string name;             ///< above the line
  std::vector<double> levels;   ///< in any order; what is not finite is left out
  bool over_histogram = false;  ///< draws the levels through the histogram too
};

/// A histogram, number lines, or both, above one axis.
struct LevelChart {
  /// The words on it; empty ones are left out.
  std::string title, x_label;

  std::vector<double> values;    ///< of the histogram; none: no histogram
  int bins = 80;                 ///< of the histogram, over the whole axis
  std::vector<LevelLine> lines;  ///< from top to bottom, at most eight
};

/// The text of an SVG file, 800 by 480.
/// @throws std::invalid_argument without bins, with more than eight lines, or with none and no
///         values
std::string svg(const LevelChart& chart);

/// Writes the file atomically. @throws BadInput if it cannot be written
void write_svg(const std::string& path, const LevelChart& chart);

}  // namespace qlora
