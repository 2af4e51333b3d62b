// Byte pair encoding over bytes: from single bytes to tokens by merging.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qlora {

/// The vocabulary and the merges, as tokenizer.json and a tiktoken file give them.
struct BytePairs {
  /// Two neighbors that become one token; of several the one with the lowest rank comes first.
  struct Merge {
    /// The two ids, that of the one, and its rank.
    std::int32_t left = 0, right = 0, result = 0, rank = 0;
  };
  /// The bytes that an id decodes to; an id is an index.
  std::vector<std::string> tokens;
  /// Whether a text can become the token: not if it is an added token.
  std::vector<bool> in_text;
  std::vector<Merge> merges;        ///< no pair twice
  bool ignore_merges = false;       ///< a piece that is a token as a whole is that token
  bool fuse_unk = false;            ///< neighboring bytes without a token are one unknown token
  std::optional<std::int32_t> unk;  ///< for bytes without a token; none: such bytes are left out
};

/// The merges by their two ids: a table with open addressing, of which a search reads one or two
/// cache lines (docs/performance.md).
class MergeTable {
 public:
  /// @param merges  no pair twice
  explicit MergeTable(std::span<const BytePairs::Merge> merges);

  /// The merge of two neighbors, or nullptr.
  const BytePairs::Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  std::size_t slot_of(std::int32_t left, std::int32_t right) const;
  std::vector<BytePairs::Merge> slots_;  // 2^n, at most half of them full; left -1: empty
  int shift_ = 0;                        // 64 - n
};

/// Merges, as the tokenizers library and tiktoken do.
class ByteLevelBpe {
 public:
  /// @param pairs  ids of the merges lie within the tokens; tokens in_text differ
  explicit ByteLevelBpe(BytePairs pairs);

  /// What encode() needs besides; made once for many pieces.
  class Workspace {
    friend class ByteLevelBpe;
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
    // A token of the piece, in a doubly linked list.
    struct Symbol {
      std::int32_t id;
      std::uint32_t previous, next;  // kNone at the ends
    };
    // A merge that was possible when it was entered.
    struct Candidate {
      std::int32_t rank;
      std::uint32_t at;
      BytePairs::Merge merge;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Appends the ids of one piece: the neighbors with the lowest rank are merged, the leftmost of
  /// equals, until no merge is left. Time O(n log n) in the bytes of the piece.
  /// @throws std::invalid_argument on a piece of 4 GiB and more
  void encode(std::string_view piece, Workspace& workspace, std::vector<std::int32_t>& ids) const;

  /// The tokens, as they were given.
  const std::vector<std::string>& tokens() const { return pairs_.tokens; }
  std::optional<std::int32_t> unk() const { return pairs_.unk; }

 private:
  // The token that a piece is as a whole, if there is one.
  std::optional<std::int32_t> whole(std::string_view piece) const;
  // A symbol for each byte of the piece, in order; what bytes without a token become stands in
  // BytePairs.
  void fill_symbols(std::string_view piece, Workspace& w) const;

  BytePairs pairs_;
  std::array<std::int32_t, 256> of_byte_{};  // -1: no token
  std::unordered_map<std::string_view, std::int32_t> ids_;
  MergeTable merges_;
};

}  // namespace qlora
