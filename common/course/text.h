// Text on a terminal: display width, padding, wrapping.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// The width that help texts and tables keep to.
inline constexpr std::size_t kTextWidth = 100;

/// Columns that UTF-8 text takes: one a code point, none for combining marks, two for East Asian
/// wide characters and emoji.
std::size_t display_width(std::string_view text);

/// The longest beginning of `text` that takes at most `width` columns, whole code points only.
std::string_view fitting(std::string_view text, std::size_t width);

/// `text` with spaces up to `width` columns, behind it or before it.
std::string padded(std::string_view text, std::size_t width, bool right_aligned = false);

/// Lines of at most `width` columns, broken at spaces; a longer word is broken inside. Line breaks
/// in `text` are kept; there is always at least one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// `text` for HTML or XML, between tags or in quotes: markup is escaped, and control characters
/// that XML does not allow are left out.
std::string escaped_markup(std::string_view text);

/// "a, b, c"
std::string joined(const std::vector<std::string>& words, std::string_view separator = ", ");

/// "18,350,080"
std::string grouped(std::int64_t n);

/// A number for people: whole numbers grouped, others with `digits` significant digits.
std::string readable(double x, int digits = 6);

/// "0:07", "12:34", "1:02:03"
std::string clock_time(double seconds);

}  // namespace qlora
