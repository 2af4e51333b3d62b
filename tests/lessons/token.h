// A line of output as words and numbers.
#pragma once

#include <string>
#include <vector>

namespace qlora::testing {

/// A piece of a line: a number, a word or a sign, one space for any spaces, or a mask for what is
/// never the same twice.
struct Token {
  enum class Kind { text, whole, fraction } kind = Kind::text;
  std::string text;
  double value = 0.0;  ///< of a number
  double unit = 0.0;   ///< of the last digit of a fraction
  int decimals = 0;    ///< digits behind its point

  bool is_number() const { return kind != Kind::text; }
};

/// Whether times, rates, dates and commits become masks.
enum class Masks { none, all };

/// The line's tokens, without spaces at its ends. Numbers: "18,350,080", "-0.25", "1e-05", but not
/// the digits of a word ("int8"). Three or more dashes in a row are one.
std::vector<Token> tokens_of(const std::string& line, Masks masks = Masks::all);

/// The same text, or numbers within a millionth or a unit of the last digit (fractions with as many
/// decimals), or the same whole number.
bool same_token(const Token& a, const Token& b);

/// The same text, or two numbers.
bool same_word(const Token& a, const Token& b);

/// Lines of the same words, whatever the numbers.
bool same_words(const std::string& a, const std::string& b);

}  // namespace qlora::testing
