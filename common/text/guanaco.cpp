#include "text/guanaco.h"

#include <optional>
#include <string>

#include "core/error.h"
#include "text/utf8.h"

namespace qlora {
namespace {

// A marker: whose turn it begins, where it stands, and where its turn's content begins.
struct Marker {
  std::string role;
  std::size_t begin, end;
};

std::optional<Marker> marker_at(std::string_view text, std::size_t at) {
  constexpr std::string_view kHashes = "###";
  if (text.substr(at, kHashes.size()) != kHashes) return std::nullopt;
  const std::size_t word = text.find_first_not_of(" \t\r\n", at + kHashes.size());
  if (word == std::string_view::npos) return std::nullopt;
  for (const auto& [name, role] : {std::pair("Human:", "user"), {"Assistant:", "assistant"}}) {
    const std::size_t end = word + std::string_view(name).size();
    if (text.substr(word).starts_with(name)) return Marker{role, at, end};
  }
  return std::nullopt;
}

std::optional<Marker> next_marker(std::string_view text, std::size_t from) {
  while ((from = text.find("###", from)) != std::string_view::npos) {
    if (const std::optional<Marker> marker = marker_at(text, from)) return marker;
    ++from;
  }
  return std::nullopt;
}

}  // namespace

bool is_guanaco(std::string_view text) {
  return marker_at(stripped(text), 0).has_value();
}

std::vector<Message> guanaco_messages(std::string_view text) {
  text = stripped(text);
  std::optional<Marker> marker = marker_at(text, 0);
  if (!marker) throw BadInput("", "text", "does not begin with \"### Human:\"");
  std::vector<Message> messages;
  while (marker) {
    const char* expected = messages.size() % 2 == 0 ? "user" : "assistant";
    if (marker->role != expected) {
      throw BadInput("", "text",
                     "two turns of the " + marker->role + " behind each other, or none");
    }
    const std::optional<Marker> next = next_marker(text, marker->end);
    const std::size_t end = next ? next->begin : text.size();
    const std::string_view content = text.substr(marker->end, end - marker->end);
    messages.push_back({marker->role, std::string(stripped(content))});
    marker = next;
  }
  if (messages.back().role == "user") messages.pop_back();
  if (messages.empty()) throw BadInput("", "text", "no question with an answer");
  return messages;
}

std::int64_t guanaco_to_messages(std::vector<Example>& rows, const std::string& file) {
  std::int64_t changed = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Example& row = rows[i];
    if (row.kind != Example::Kind::text || !is_guanaco(row.completion)) continue;
    try {
      row.messages = guanaco_messages(row.completion);
    } catch (const BadInput& e) {
      throw BadInput(file, place_of(row, i), e.what());
    }
    row.kind = Example::Kind::messages;
    row.completion.clear();
    ++changed;
  }
  return changed;
}

}  // namespace qlora
