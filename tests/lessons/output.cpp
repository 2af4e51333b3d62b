#include "lessons/output.h"

#include <algorithm>
#include <functional>

#include "lessons/token.h"

namespace qlora::testing {
namespace {

using SameLine = std::function<bool(const std::string& shown, const std::string& printed)>;

bool is_skip(const std::string& line) {
  const std::size_t begin = line.find_first_not_of(' ');
  return begin != std::string::npos && line.compare(begin, std::string::npos, "…") == 0;
}

Lines without_blank_end(Lines lines) {
  while (!lines.empty() && lines.back().find_first_not_of(' ') == std::string::npos) {
    lines.pop_back();
  }
  return lines;
}

// Shown lines [begin, end) without a skip among them, which must stand together.
struct Piece {
  std::size_t begin = 0, end = 0;
  bool at_start = false, at_end = false;  // no skip before it, none behind it
  std::size_t size() const { return end - begin; }
};

std::vector<Piece> pieces_of(const Lines& shown) {
  std::vector<Piece> pieces;
  bool skipped = false;
  for (std::size_t i = 0; i <= shown.size();) {
    std::size_t end = i;
    while (end < shown.size() && !is_skip(shown[end])) ++end;
    const bool last = end == shown.size();
    if (end > i || (last && !skipped)) pieces.push_back({i, end, !skipped, last});
    skipped = true;
    i = end + 1;
  }
  return pieces;
}

// The first place of the piece in the printed lines, from `from` on.
std::optional<std::size_t> place_of(const Piece& piece, std::size_t from, const Lines& shown,
                                    const Lines& printed, const SameLine& same) {
  if (printed.size() < from + piece.size()) return std::nullopt;
  const std::size_t last = printed.size() - piece.size();
  const std::size_t begin = piece.at_end ? last : from;
  const std::size_t end = piece.at_start ? from : last;
  for (std::size_t place = begin; place <= end; ++place) {
    const auto first = printed.begin() + static_cast<std::ptrdiff_t>(place);
    if (std::equal(shown.begin() + static_cast<std::ptrdiff_t>(piece.begin),
                   shown.begin() + static_cast<std::ptrdiff_t>(piece.end), first, same)) {
      return place;
    }
  }
  return std::nullopt;
}

// Why the piece is not in the printed lines from `from` on.
Difference why_not(const Piece& piece, std::size_t from, const Lines& shown, const Lines& printed) {
  auto place = place_of(piece, from, shown, printed, same_words);
  if (!place && piece.at_start) place = from;
  if (place) {
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const std::string& line = shown[piece.begin + i];
      if (*place + i >= printed.size()) return {piece.begin + i, "is not printed: " + line};
      const std::string& other = printed[*place + i];
      if (!same_line(line, other))
        return {piece.begin + i, std::string("shows: ").append(line) + "\n  prints: " + other};
    }
    const std::size_t end = *place + piece.size();
    if (end < printed.size()) return {piece.end, "is also printed: " + printed[end]};
  }
  for (std::size_t i = piece.begin; i < piece.end; ++i) {
    const auto same = [&](const std::string& other) { return same_line(shown[i], other); };
    if (std::none_of(printed.begin() + static_cast<std::ptrdiff_t>(from), printed.end(), same)) {
      return {i, "is not printed: " + shown[i]};
    }
  }
  return {piece.begin, "is printed, but not with the lines below: " + shown[piece.begin]};
}

// The range "[low..high]" behind a number.
struct Ranged {
  std::size_t token = 0;  // of the number
  double low = 0.0, high = 0.0;
};

// Takes the ranges out of a line's tokens: number, perhaps a space, "[", number, "..", number, "]".
std::vector<Ranged> take_ranges(std::vector<Token>& tokens) {
  std::vector<Ranged> ranges;
  for (std::size_t i = 0; i + 5 < tokens.size(); ++i) {
    const std::size_t at = tokens[i + 1].text == " " ? i + 2 : i + 1;
    if (at + 5 > tokens.size() || !tokens[i].is_number()) continue;
    const auto is = [&](std::size_t offset, const char* text) {
      return tokens[at + offset].text == text;
    };
    if (!is(0, "[") || !tokens[at + 1].is_number() || !is(2, "..") || !tokens[at + 3].is_number() ||
        !is(4, "]")) {
      continue;
    }
    ranges.push_back({i, tokens[at + 1].value, tokens[at + 3].value});
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    tokens.erase(begin, tokens.begin() + static_cast<std::ptrdiff_t>(at) + 5);
  }
  return ranges;
}

std::vector<Token> numbers_from(const std::vector<Token>& tokens, std::size_t from) {
  std::vector<Token> numbers;
  for (std::size_t i = from; i < tokens.size(); ++i) {
    if (tokens[i].is_number()) numbers.push_back(tokens[i]);
  }
  return numbers;
}

bool same_beginning(const std::vector<Token>& a, const std::vector<Token>& b, std::size_t size) {
  return a.size() >= size && b.size() >= size &&
         std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin(), same_word);
}

// What is out of its range in the printed line, or "".
std::string out_of_range(const std::vector<Token>& shown, const std::vector<Ranged>& ranges,
                         const std::vector<Token>& printed) {
  const std::size_t label = ranges[0].token;
  const std::vector<Token> values = numbers_from(printed, label);
  for (const Ranged& range : ranges) {
    const std::size_t index =
        numbers_from(shown, label).size() - numbers_from(shown, range.token).size();
    if (index >= values.size()) return "prints no number in place of " + shown[range.token].text;
    const double value = values[index].value;
    if (!(value >= range.low && value <= range.high)) {
      return "prints " + values[index].text + " in place of " + shown[range.token].text +
             ", out of its range";
    }
  }
  return "";
}

}  // namespace

bool same_line(const std::string& shown, const std::string& printed) {
  const std::vector<Token> a = tokens_of(shown), b = tokens_of(printed);
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_token);
}

std::optional<Difference> difference(const Lines& shown_lines, const Lines& printed_lines) {
  const Lines shown = without_blank_end(shown_lines), printed = without_blank_end(printed_lines);
  std::size_t from = 0;
  for (const Piece& piece : pieces_of(shown)) {
    const auto place = place_of(piece, from, shown, printed, same_line);
    if (!place) return why_not(piece, from, shown, printed);
    from = *place + piece.size();
  }
  return std::nullopt;
}

std::optional<Lines> updated(const Lines& shown_lines, const Lines& printed_lines) {
  if (!difference(shown_lines, printed_lines)) return shown_lines;
  const Lines shown = without_blank_end(shown_lines);
  Lines printed = without_blank_end(printed_lines);
  if (std::none_of(shown.begin(), shown.end(), is_skip)) return printed;
  Lines out = shown;
  std::size_t from = 0;
  for (const Piece& piece : pieces_of(shown)) {
    const auto place = place_of(piece, from, shown, printed, same_words);
    if (!place) return std::nullopt;
    std::copy_n(printed.begin() + static_cast<std::ptrdiff_t>(*place), piece.size(),
                out.begin() + static_cast<std::ptrdiff_t>(piece.begin));
    from = *place + piece.size();
  }
  return out;
}

std::optional<Difference> band_difference(const Lines& shown, const Lines& printed) {
  std::size_t from = 0;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    std::vector<Token> tokens = tokens_of(shown[i], Masks::none);
    const std::vector<Ranged> ranges = take_ranges(tokens);
    if (ranges.empty()) continue;
    std::vector<Token> other;
    for (; from < printed.size(); ++from) {
      other = tokens_of(printed[from], Masks::none);
      if (same_beginning(tokens, other, ranges[0].token)) break;
    }
    if (from++ == printed.size()) return Difference{i, "no printed line begins so: " + shown[i]};
    const std::string problem = out_of_range(tokens, ranges, other);
    if (!problem.empty()) return Difference{i, problem};
  }
  return std::nullopt;
}

}  // namespace qlora::testing
