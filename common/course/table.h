// Tables for the terminal and for Markdown.
#pragma once

#include <string>
#include <vector>

#include "course/text.h"

namespace qlora {

/// Columns of text under headings.
///
///   Table table({"module", "shape", "parameters"}, "llr");
///   table.add({"q_proj", "3072 -> 3072", "196,608"});
///   std::fputs(table.text().c_str(), stdout);
class Table {
 public:
  /// @param alignment  a letter for each column, l or r; columns without one are left-aligned
  explicit Table(std::vector<std::string> headings, std::string alignment = "");

  /// Cells that are not given are empty.
  /// @throws std::invalid_argument on more cells than columns
  void add(std::vector<std::string> row);
  /// A line between the rows before and after it; Markdown has none.
  void rule();

  /// Whether it has no row.
  bool empty() const { return rows_.empty(); }

  /// At most `width` columns wide: where the cells need more, the last column is wrapped, down to a
  /// width of 24, then the widest ones.
  std::string text(std::size_t width = kTextWidth) const;
  std::string markdown() const;

 private:
  std::vector<std::size_t> widths(std::size_t width) const;
  void print_row(std::string& out, const std::vector<std::string>& row,
                 const std::vector<std::size_t>& widths) const;
  bool is_right_aligned(std::size_t column) const;

  std::vector<std::string> headings_;
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

}  // namespace qlora
