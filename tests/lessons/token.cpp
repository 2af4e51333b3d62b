#include "lessons/token.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <utility>

namespace qlora::testing {
namespace {

constexpr double kRelative = 1e-6;

// What is never the same twice, and what stands for it. Each is tried where a word may begin.
const std::vector<std::pair<std::regex, std::string>>& mask_patterns() {
  static const std::string kNumber = R"([\d][\d,]*(?:\.\d+)?)";
  static const std::vector<std::pair<std::regex, std::string>> kPatterns = {
      {std::regex(R"(commit [0-9a-f]{7,40}(?:-dirty)?\b)"), "<commit>"},
      {std::regex(R"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?(?!\d))"), "<date>"},
      {std::regex(R"(\d+:\d\d(?::\d\d)?(?![\d:]))"), "<time>"},
      {std::regex(kNumber + R"( ?[A-Za-z]+/(?:s|min)\b)"), "<rate>"},
      {std::regex(kNumber + " ?(?:ns|µs|us|ms|s|min|h|(?:second|minute|hour)s?)(?![A-Za-z0-9_/²])"),
       "<time>"}};
  return kPatterns;
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

Token number(const std::string& text) {
  Token t;
  t.text = text;
  std::string digits = text;
  std::erase(digits, ',');
  t.value = std::strtod(digits.c_str(), nullptr);
  const std::size_t point = digits.find('.'),
                    e = std::min(digits.find_first_of("eE"), digits.size());
  if (point == std::string::npos && e == digits.size()) {
    t.kind = Token::Kind::whole;
    return t;
  }
  t.kind = Token::Kind::fraction;
  t.decimals = point == std::string::npos ? 0 : static_cast<int>(e - point) - 1;
  const int exponent = e == digits.size() ? 0 : std::atoi(digits.c_str() + e + 1);
  t.unit = std::pow(10.0, exponent - t.decimals);
  return t;
}

// The token that begins at `at`, and how many characters it takes.
std::pair<Token, std::size_t> token_at(const std::string& line, std::size_t at, Masks masks) {
  static const std::regex kNumber(
      R"([-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![A-Za-z0-9_]|\.\d))");
  static const std::regex kWord("[0-9]+(?:[.][0-9]+){2,}|[A-Za-z0-9_]+");  // a version, a word
  static const std::regex kSpaces("[ \t]+");
  static const std::regex kDashes("(?:---+|(?:─){3,}|(?:━){3,}|===+|\\.\\.)");
  const auto begin = line.begin() + static_cast<std::ptrdiff_t>(at);
  std::smatch match;
  const auto is = [&](const std::regex& pattern) {
    return std::regex_search(begin, line.end(), match, pattern,
                             std::regex_constants::match_continuous);
  };
  const auto text = [&](std::string as) {
    Token t;
    t.text = std::move(as);
    return std::pair{t, static_cast<std::size_t>(match.length())};
  };
  const bool after_word = at > 0 && is_word_character(line[at - 1]);
  if (is(kSpaces)) return text(" ");
  if (is(kDashes)) return text(match.str().substr(0, match.str() == ".." ? 2 : 3));
  if (masks == Masks::all && !after_word) {
    for (const auto& [pattern, mask] : mask_patterns()) {
      if (is(pattern)) return text(mask);
    }
  }
  // A sign belongs to the number unless something stands before it ("64-bit", "3-4").
  const bool sign = line[at] == '-' || line[at] == '+';
  const bool signed_here =
      sign && (at == 0 || std::string(" ([|=,.").find(line[at - 1]) != std::string::npos);
  if (!after_word && (!sign || signed_here) && is(kNumber)) {
    return {number(match.str()), static_cast<std::size_t>(match.length())};
  }
  if (is(kWord)) return text(match.str());
  Token t;
  t.text = line.substr(at, 1);
  return {t, 1};
}

}  // namespace

std::vector<Token> tokens_of(const std::string& line, Masks masks) {
  std::vector<Token> tokens;
  for (std::size_t at = 0; at < line.size();) {
    auto [token, size] = token_at(line, at, masks);
    at += size;
    if (token.text != " " || (!tokens.empty() && at < line.size()))
      tokens.push_back(std::move(token));
  }
  return tokens;
}

bool same_token(const Token& a, const Token& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Token::Kind::text) return a.text == b.text;
  if (a.kind == Token::Kind::whole) return a.value == b.value;
  const double largest = std::max(std::abs(a.value), std::abs(b.value));
  // The digits are decimal, so their difference is rounded: a little more than a unit.
  const double allowed = std::max(kRelative * largest, 1.001 * std::max(a.unit, b.unit));
  return a.decimals == b.decimals && std::abs(a.value - b.value) <= allowed;
}

bool same_word(const Token& a, const Token& b) {
  if (a.is_number() || b.is_number()) return a.is_number() && b.is_number();
  return a.text == b.text;
}

bool same_words(const std::string& a, const std::string& b) {
  const std::vector<Token> s = tokens_of(a), t = tokens_of(b);
  return std::equal(s.begin(), s.end(), t.begin(), t.end(), same_word);
}

}  // namespace qlora::testing
