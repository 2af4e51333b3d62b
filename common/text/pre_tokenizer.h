// How a text falls into the pieces that byte pairs are merged within.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace qlora {

/// Llama 3's expression (meta-llama/llama-models, models/llama3/tokenizer.py): contractions, words
/// with the character before them, up to three digits, punctuation, line ends, spaces.
// [llama3_split]
inline constexpr std::string_view kLlama3Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
// [/llama3_split]

/// GPT-2's expression, ByteLevel's own in the tokenizers library.
inline constexpr std::string_view kGpt2Split =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Splits one after the other: each cuts every piece of the one before, as if it were a text of its
/// own (tokenizers: Split, Digits, ByteLevel, and a Sequence of them).
class PreTokenizer {
 public:
  /// One split. Matches and what is between them are pieces, but for those that it drops.
  struct Step {
    Regex regex;                 ///< what is matched
    bool drops_matches = false;  ///< behavior "Removed"
    bool drops_rest = false;     ///< the same with "invert"
    bool adds_space = false;     ///< before a text that begins with none: ByteLevel's prefix space
  };

  /// No steps: a text is one piece.
  explicit PreTokenizer(std::vector<Step> steps) : steps_(std::move(steps)) {}

  /// Calls `piece` for each piece of a text, from left to right; none is empty.
  /// @param text  valid UTF-8
  /// @throws BadInput as Regex::Search::next
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;

 private:
  using Searches = std::vector<Regex::Search>;
  void split(std::string_view text, std::size_t step, Searches& searches,
             const std::function<void(std::string_view)>& piece) const;

  std::vector<Step> steps_;
};

}  // namespace qlora
