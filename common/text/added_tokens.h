// Tokens that are looked for in a text before it is split.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace qlora {

/// A token beside the byte pairs: "<|eot_id|>".
struct AddedToken {
  std::string content;      ///< as it stands in a text; not empty
  std::int32_t id = 0;      ///< its id
  bool special = false;     ///< left out by decode(), and not looked for on request
  bool normalized = false;  ///< looked for where none of the others was found
};

/// Finds added tokens: the leftmost, of several that begin there the longest.
class AddedTokens {
 public:
  /// A stretch of the text: an added token, or what is between two.
  struct Part {
    std::string_view text;  ///< of the stretch
    std::int32_t id = -1;   ///< of the token; -1: none
  };

  /// @param tokens  contents differ
  explicit AddedTokens(const std::vector<AddedToken>& tokens);

  /// Cuts a text (tokenizers: AddedVocabulary::extract_and_normalize).
  /// @param split_special  special tokens stay text
  std::vector<Part> split(std::string_view text, bool split_special) const;

 private:
  // The contents as a tree: a node for each beginning, an edge for each byte.
  struct Node {
    std::int32_t id = -1;  // of the token that ends here
    bool special = false;
  };
  struct Tree {
    std::vector<Node> nodes = {Node{}};
    std::unordered_map<std::uint64_t, std::uint32_t> edges;
    std::array<bool, 256> begins{};  // whether a content begins with the byte
    void add(const AddedToken& token);
    std::pair<std::size_t, Node> longest_at(std::string_view text) const;
    void split(std::string_view text, bool split_special, std::vector<Part>& parts) const;
  };
  Tree plain_;
  Tree normalized_;
};

}  // namespace qlora
