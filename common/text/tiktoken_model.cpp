#include "text/tiktoken_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kMaxToken = 256;

// RFC 4648, section 4, with padding; the bits that are left over must be zero.
std::optional<std::string> decode_base64(std::string_view text) {
  const std::size_t digits = std::min(text.find('='), text.size());
  const std::size_t padding = text.size() - digits;
  if (text.size() % 4 != 0 || padding > 2) return std::nullopt;
  if (text.substr(digits).find_first_not_of('=') != std::string_view::npos) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text.substr(0, digits)) {
    const std::size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

// Takes the first line off, without its end.
std::string_view take_line(std::string_view& bytes) {
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(std::min(end + 1, bytes.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

struct Entry {
  std::string_view base64;
  std::string_view rank;
};

std::optional<Entry> entry_of(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size()) {
    return std::nullopt;
  }
  const Entry entry{line.substr(0, space), line.substr(space + 1)};
  if (entry.rank.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return entry;
}

using Ids = std::unordered_map<std::string_view, std::int32_t>;

// Every way to make a token of two.
std::vector<BytePairs::Merge> merges_of(const std::vector<std::string>& tokens, const Ids& ids) {
  std::vector<BytePairs::Merge> merges;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    const auto rank = static_cast<std::int32_t>(id);
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(token.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(token.substr(cut));
      if (right != ids.end()) merges.push_back({left->second, right->second, rank, rank});
    }
  }
  return merges;
}

[[noreturn]] void fail(const std::string& file, std::size_t line, std::string_view problem) {
  throw BadInput(file, "line " + std::to_string(line), problem);
}

// A line of the file, checked as far as it can be alone.
struct Line {
  std::string token;
  std::size_t rank = 0;
  std::size_t number = 0;
};

Line read_line(std::string_view text, std::size_t number, const std::string& file) {
  const std::optional<Entry> entry = entry_of(text);
  if (!entry) fail(file, number, "expected a token in base64, a space and its rank");
  std::optional<std::string> token = decode_base64(entry->base64);
  if (!token) fail(file, number, "broken base64");
  if (token->empty() || token->size() > kMaxToken) fail(file, number, "a token of 1 … 256 bytes");
  Line line{*std::move(token), 0, number};
  const char* const digits = entry->rank.data();
  const auto read = std::from_chars(digits, digits + entry->rank.size(), line.rank);
  if (read.ec != std::errc{}) fail(file, number, "a rank that is not a number of 64 bits");
  return line;
}

}  // namespace

bool is_tiktoken(std::string_view bytes) {
  const std::optional<Entry> entry = entry_of(take_line(bytes));
  return entry && decode_base64(entry->base64).has_value();
}

BytePairs parse_tiktoken(std::string_view bytes, const std::string& file) {
  std::vector<Line> lines;
  for (std::size_t number = 1; !bytes.empty(); ++number) {
    const std::string_view text = take_line(bytes);
    if (!text.empty()) lines.push_back(read_line(text, number, file));
  }
  BytePairs pairs;
  pairs.ignore_merges = true;
  pairs.tokens.resize(lines.size());
  pairs.in_text.assign(lines.size(), true);
  Ids ids;
  ids.reserve(lines.size());
  for (Line& line : lines) {
    const std::string rank = "rank " + std::to_string(line.rank);
    if (line.rank >= lines.size()) {
      fail(file, line.number,
           rank + " of " + std::to_string(lines.size()) + " tokens, expected ranks without holes");
    }
    std::string& token = pairs.tokens[line.rank];
    if (!token.empty()) fail(file, line.number, rank + " stands twice");
    token = std::move(line.token);
    if (!ids.emplace(token, static_cast<std::int32_t>(line.rank)).second) {
      fail(file, line.number, "the token stands twice");
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    if (!ids.contains(std::string_view(&character, 1))) {
      throw BadInput(file, "", "byte " + std::to_string(byte) + " is no token");
    }
  }
  pairs.merges = merges_of(pairs.tokens, ids);
  return pairs;
}

std::vector<AddedToken> llama3_special_tokens(std::int32_t first_id) {
  std::vector<std::string> names = {"begin_of_text",
                                    "end_of_text",
                                    "reserved_special_token_0",
                                    "reserved_special_token_1",
                                    "finetune_right_pad_id",
                                    "reserved_special_token_2",
                                    "start_header_id",
                                    "end_header_id",
                                    "eom_id",
                                    "eot_id",
                                    "python_tag"};
  for (int reserved = 3; names.size() < 256; ++reserved) {
    names.push_back("reserved_special_token_" + std::to_string(reserved));
  }
  std::vector<AddedToken> tokens;
  for (const std::string& name : names) {
    const auto id = first_id + static_cast<std::int32_t>(tokens.size());
    tokens.push_back({"<|" + name + "|>", id, true, false});
  }
  return tokens;
}

}  // namespace qlora
