#include "lessons/document.h"

#include <algorithm>
#include <regex>
#include <sstream>

#include "core/error.h"

namespace qlora::testing {
namespace {

constexpr std::string_view kFence = "```";

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

bool is_fence(const std::string& line) {
  return begins_with(trimmed(line), kFence);
}

// The document with its fenced blocks blanked, so that lines keep their numbers.
std::string text_alone(const std::string& text) {
  std::string out;
  bool inside = false;
  for (const std::string& line : lines_of(text)) {
    if (is_fence(line)) {
      inside = !inside;
    } else if (!inside) {
      out += line;
    }
    out += '\n';
  }
  return out;
}

std::vector<Mention> found(const std::string& text, const std::regex& pattern) {
  std::vector<Mention> mentions;
  const std::string prose = text_alone(text);
  for (std::sregex_iterator m(prose.begin(), prose.end(), pattern), end; m != end; ++m) {
    const auto before = std::count(prose.begin(), prose.begin() + m->position(), '\n');
    std::string content = (*m)[1];
    std::replace(content.begin(), content.end(), '\n', ' ');
    mentions.push_back({static_cast<std::size_t>(before) + 1, std::move(content)});
  }
  return mentions;
}

}  // namespace

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool begins_with(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

bool Block::is(std::string_view word) const {
  std::istringstream in(info);
  for (std::string each; in >> each;) {
    if (each == word) return true;
  }
  return false;
}

std::vector<Block> blocks_of(const std::string& text) {
  std::vector<Block> blocks;
  bool inside = false;
  std::size_t number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (is_fence(line)) {
      inside = !inside;
      const std::size_t fence = line.find(kFence);
      if (inside) {
        blocks.push_back(
            {number, trimmed(line.substr(fence + kFence.size())), line.substr(0, fence), {}});
      }
    } else if (inside) {
      Block& block = blocks.back();
      const bool indented = begins_with(line, block.indent);
      block.lines.push_back(indented ? line.substr(block.indent.size()) : line);
    }
  }
  return blocks;
}

std::string with_blocks(const std::string& text, const std::vector<Block>& blocks) {
  std::string out;
  bool inside = false;
  std::size_t next = 0;
  for (const std::string& line : lines_of(text)) {
    if (!is_fence(line)) {
      if (!inside) out += line + '\n';
      continue;
    }
    out += line + '\n';
    inside = !inside;
    if (!inside) continue;
    for (const std::string& content : blocks.at(next).lines) {
      out += (content.empty() ? "" : blocks[next].indent + content) + '\n';
    }
    ++next;
  }
  return out;
}

std::vector<Mention> code_spans(const std::string& text) {
  static const std::regex kSpan("`([^`\n]+(?:\n[^`\n]+)?)`");
  return found(text, kSpan);
}

std::vector<Mention> link_targets(const std::string& text) {
  static const std::regex kLink(R"(\]\(([^)\s]+)\))");
  return found(text, kLink);
}

std::vector<std::string> marked_lines(const std::string& source, const std::string& marker,
                                      const std::string& file) {
  static const std::regex kMarker(R"(\s*(?://|#) \[(/?[A-Za-z0-9_-]+)\]\s*)");
  std::vector<std::string> lines;
  bool found = false, inside = false;
  for (const std::string& line : lines_of(source)) {
    std::smatch match;
    if (!std::regex_match(line, match, kMarker)) {
      if (inside) lines.push_back(line);
    } else if (match[1] == marker) {
      if (found) throw BadInput(file, marker, "the marker stands twice");
      found = inside = true;
    } else if (match[1] == "/" + marker) {
      inside = false;
    }
  }
  if (!found) throw BadInput(file, marker, "there is no such marker");
  if (inside) throw BadInput(file, marker, "the marker is not closed");
  return lines;
}

}  // namespace qlora::testing
