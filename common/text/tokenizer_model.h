// What a kind of tokenizer does behind the interface of Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace qlora {

/// One kind of tokenizer: immutable, usable from several threads.
class TokenizerModel {
 public:
  /// The special ids; nothing where there is no such token.
  struct SpecialIds {
    /// Begin, end, padding, unknown.
    std::optional<std::int32_t> bos, eos, pad, unk;
  };
  /// What an id adds to the text.
  struct Part {
    std::string bytes;   ///< of the token
    bool joins = false;  ///< with the bytes before and after it to characters; else it is a text
  };

  TokenizerModel() = default;
  TokenizerModel(const TokenizerModel&) = delete;
  TokenizerModel& operator=(const TokenizerModel&) = delete;
  virtual ~TokenizerModel() = default;

  /// Appends the ids of a text, without what stands before and behind it.
  virtual void encode(std::string_view text, bool split_special,
                      std::vector<std::int32_t>& ids) const = 0;
  /// The same, but special tokens that the text names are those tokens.
  virtual void encode_rendered(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
  /// The part of an id of the vocabulary.
  /// @param at_start  whether no text came before; the model may clear it
  virtual Part decode(std::int32_t id, bool skip_special, bool& at_start) const = 0;
  /// How bytes that are no character are shown.
  virtual Replacement replacement() const = 0;
  virtual std::int32_t vocab_size() const = 0;
  /// Whether an id of the vocabulary is a special token.
  virtual bool is_special(std::int32_t id) const = 0;

  SpecialIds special;                ///< of the vocabulary
  std::vector<std::int32_t> prefix;  ///< what add_bos puts before a text
  bool adds_eos = false;             ///< whether the folder's files want EOS behind a text
};

}  // namespace qlora
