#include "course/table.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::size_t kGap = 2;         // spaces between columns
constexpr std::size_t kLeastLast = 24;  // the last column is wrapped down to this first

std::string escaped_for_markdown(const std::string& cell) {
  std::string out;
  for (char c : cell) {
    if (c == '\n') {
      out += "<br>";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      if (c == '|') out += '\\';
      out += c;
    }
  }
  return out;
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);  // npos + 1 is 0
  return line;
}

}  // namespace

Table::Table(std::vector<std::string> headings, std::string alignment)
    : headings_(std::move(headings)), alignment_(std::move(alignment)) {
  require(!headings_.empty(), "Table", "at least one column");
}

void Table::add(std::vector<std::string> row) {
  require(row.size() <= headings_.size(), "Table::add", "at most one cell for each column");
  row.resize(headings_.size());
  rows_.push_back(std::move(row));
}

void Table::rule() {
  rows_.emplace_back();
}

bool Table::is_right_aligned(std::size_t column) const {
  return column < alignment_.size() && alignment_[column] == 'r';
}

std::vector<std::size_t> Table::widths(std::size_t width) const {
  std::vector<std::size_t> out(headings_.size(), 1);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      for (const std::string& line : wrapped(row[i], std::string::npos)) {
        out[i] = std::max(out[i], display_width(line));
      }
    }
  };
  widen(headings_);
  std::for_each(rows_.begin(), rows_.end(), widen);
  const std::size_t gaps = kGap * (out.size() - 1);
  while (true) {
    const std::size_t sum = std::accumulate(out.begin(), out.end(), gaps);
    if (sum <= width) return out;
    auto& widest = *std::max_element(out.begin(), out.end());
    if (out.back() > kLeastLast) {
      out.back() -= std::min(sum - width, out.back() - kLeastLast);
    } else if (widest > 1) {
      --widest;
    } else {
      return out;  // more columns than the width has room for
    }
  }
}

void Table::print_row(std::string& out, const std::vector<std::string>& row,
                      const std::vector<std::size_t>& widths) const {
  std::vector<std::vector<std::string>> cells;
  std::size_t height = 1;
  for (std::size_t i = 0; i < row.size(); ++i) {
    cells.push_back(wrapped(row[i], widths[i]));
    height = std::max(height, cells.back().size());
  }
  for (std::size_t y = 0; y < height; ++y) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      line += padded(y < cells[i].size() ? cells[i][y] : "", widths[i], is_right_aligned(i));
    }
    out += without_trailing_spaces(std::move(line)) + '\n';
  }
}

std::string Table::text(std::size_t width) const {
  const auto columns = widths(width);
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line.append(kGap, ' ');
    line.append(columns[i], '-');
  }
  line += '\n';
  std::string out;
  print_row(out, headings_, columns);
  out += line;
  for (const auto& row : rows_) {
    if (row.empty()) {
      out += line;
    } else {
      print_row(out, row, columns);
    }
  }
  return out;
}

std::string Table::markdown() const {
  std::string out;
  const auto add_row = [&](const std::vector<std::string>& row) {
    out += '|';
    for (const std::string& cell : row) out += ' ' + escaped_for_markdown(cell) + " |";
    out += '\n';
  };
  add_row(headings_);
  out += '|';
  for (std::size_t i = 0; i < headings_.size(); ++i) out += is_right_aligned(i) ? "---:|" : "---|";
  out += '\n';
  for (const auto& row : rows_) {
    if (!row.empty()) add_row(row);
  }
  return out;
}

}  // namespace qlora
