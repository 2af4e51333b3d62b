// Regular expressions over Unicode text, by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

namespace qlora {

/// A compiled expression: immutable, usable from several threads.
///
/// Tokenizer files are written for Oniguruma. `\p{L}`, `\p{N}`, look-around and `(?i:…)` mean the
/// same in PCRE2; `\s` is made the Unicode property White_Space, which in PCRE2 it is not quite
/// (U+180E).
class Regex {
 public:
  /// How the pattern is read.
  enum class Syntax { expression, literal };

  /// @param file, place  where the pattern stands, for messages
  /// @throws BadInput with PCRE2's reason, if it refuses the pattern
  Regex(std::string_view pattern, Syntax syntax, std::string file, std::string place);

  /// The matches in a text, from left to right; as the tokenizers library finds them, an empty one
  /// does not stand at the end of the one before.
  class Search {
   public:
    /// @param regex  must outlive the search
    explicit Search(const Regex& regex);
    /// Begins anew. @param text  valid UTF-8 that outlives the search
    void start(std::string_view text);
    /// Moves to the next match.
    /// @return whether there is one
    /// @throws BadInput naming the pattern's place, if it takes more steps or memory than is
    /// allowed
    bool next();
    /// Offsets of the match within the text.
    std::size_t begin() const { return begin_; }
    std::size_t end() const { return end_; }

   private:
    bool find(std::size_t from);

    struct Free {
      void operator()(pcre2_real_match_data_8* data) const;
    };
    const Regex& regex_;
    std::unique_ptr<pcre2_real_match_data_8, Free> data_;
    std::string_view text_;
    std::size_t from_ = 0;  // where the next search begins
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool matched_ = false;
  };

 private:
  std::shared_ptr<const pcre2_real_code_8> code_;
  std::string file_;
  std::string place_;
};

}  // namespace qlora
