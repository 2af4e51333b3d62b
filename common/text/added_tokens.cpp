#include "text/added_tokens.h"

namespace qlora {
namespace {

std::uint64_t edge(std::uint32_t node, char byte) {
  return std::uint64_t{node} << 8 | static_cast<std::uint8_t>(byte);
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) {
  for (const AddedToken& token : tokens) (token.normalized ? normalized_ : plain_).add(token);
}

void AddedTokens::Tree::add(const AddedToken& token) {
  std::uint32_t at = 0;
  for (const char byte : token.content) {
    const auto [found, fresh] =
        edges.try_emplace(edge(at, byte), static_cast<std::uint32_t>(nodes.size()));
    if (fresh) nodes.emplace_back();
    at = found->second;
  }
  nodes[at] = {token.id, token.special};
  begins[static_cast<std::uint8_t>(token.content[0])] = true;
}

// The longest token that the text begins with, and its length; 0 if there is none.
std::pair<std::size_t, AddedTokens::Node> AddedTokens::Tree::longest_at(
    std::string_view text) const {
  std::pair<std::size_t, Node> longest{0, {}};
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto next = edges.find(edge(at, text[i]));
    if (next == edges.end()) break;
    at = next->second;
    if (nodes[at].id >= 0) longest = {i + 1, nodes[at]};
  }
  return longest;
}

void AddedTokens::Tree::split(std::string_view text, bool split_special,
                              std::vector<Part>& parts) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!begins[static_cast<std::uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const auto [length, node] = longest_at(text.substr(at));
    if (length == 0) {
      ++at;
      continue;
    }
    // A special token that is to stay text is passed over as a whole.
    if (!(split_special && node.special)) {
      if (at > done) parts.push_back({text.substr(done, at - done), -1});
      parts.push_back({text.substr(at, length), node.id});
      done = at + length;
    }
    at += length;
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool split_special) const {
  std::vector<Part> first;
  plain_.split(text, split_special, first);
  if (normalized_.nodes.size() == 1) return first;
  std::vector<Part> parts;
  for (const Part& part : first) {
    if (part.id >= 0) {
      parts.push_back(part);
    } else {
      normalized_.split(part.text, split_special, parts);
    }
  }
  return parts;
}

}  // namespace qlora
