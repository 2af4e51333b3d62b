#include "text/dataset.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace qlora {
namespace {

// Where a row stands, for messages.
struct Place {
  const std::string& file;
  std::string row;

  [[noreturn]] void fail(std::string_view problem) const { throw BadInput(file, row, problem); }
};

std::string text_of(const Json& row, std::string_view key, const Place& place) {
  for (const Json::Member& member : row.as_object()) {
    if (member.first != key) continue;
    if (member.second.is_string()) return member.second.as_string();
    const char* found = member.second.is_null() ? "null, expected a string" : "not a string";
    place.fail(std::string("\"").append(key).append("\" is ").append(found));
  }
  place.fail(std::string("\"").append(key).append("\" is missing"));
}

std::vector<Message> messages_of(const Json& list, const Place& place) {
  if (!list.is_array() || list.size() == 0) place.fail("\"messages\" is not a list of messages");
  std::vector<Message> messages;
  for (const Json& entry : list.as_array()) {
    if (!entry.is_object()) place.fail("a message is not an object with \"role\" and \"content\"");
    messages.push_back({text_of(entry, "role", place), text_of(entry, "content", place)});
    const std::string& role = messages.back().role;
    if (role != "system" && role != "user" && role != "assistant") {
      place.fail("the role \"" + role + "\", expected system, user or assistant");
    }
  }
  return messages;
}

Example example_of(const Json& row, const Place& place) {
  if (!row.is_object()) place.fail("not a JSON object");
  Example example;
  example.place = place.row;
  if (const Json* messages = row.find("messages")) {
    example.kind = Example::Kind::messages;
    example.messages = messages_of(*messages, place);
  } else if (row.find("prompt") != nullptr || row.find("completion") != nullptr) {
    example.kind = Example::Kind::prompt_completion;
    example.prompt = text_of(row, "prompt", place);
    example.completion = text_of(row, "completion", place);
  } else if (row.find("instruction") != nullptr) {
    example.kind = Example::Kind::prompt_completion;
    const std::string input = row.find("input") != nullptr ? text_of(row, "input", place) : "";
    example.prompt = alpaca_prompt(text_of(row, "instruction", place), input);
    example.completion = text_of(row, "output", place);
  } else if (row.find("text") != nullptr) {
    example.completion = text_of(row, "text", place);
  } else {
    place.fail(
        "none of the keys of a row: \"prompt\" and \"completion\", \"instruction\" and "
        "\"output\", \"text\", or \"messages\"");
  }
  return example;
}

// One array of rows, as Alpaca's own file is.
std::vector<Example> parse_array(std::string_view text, const std::string& file) {
  const Json rows = Json::parse(text, file);
  std::vector<Example> examples;
  for (const Json& row : rows.as_array()) {
    const std::string index = std::to_string(examples.size());
    examples.push_back(example_of(row, {file, std::string("[").append(index).append("]")}));
  }
  return examples;
}

std::vector<Example> parse_lines(std::string_view text, const std::string& file) {
  constexpr std::string_view kBlank = " \t\r";
  std::vector<Example> examples;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(kBlank) == std::string_view::npos) continue;
    const Place place{file, "line " + std::to_string(number)};
    examples.push_back(example_of(Json::parse(line, file + ": " + place.row), place));
  }
  return examples;
}

}  // namespace

std::vector<Example> parse_dataset(std::string_view text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool array = first != std::string_view::npos && text[first] == '[';
  std::vector<Example> examples = array ? parse_array(text, file) : parse_lines(text, file);
  if (examples.empty()) throw BadInput(file, "", "no rows, expected one JSON object a line");
  return examples;
}

std::string place_of(const Example& row, std::size_t i) {
  return row.place.empty() ? "row " + std::to_string(i + 1) : row.place;
}

std::vector<Example> read_dataset(const std::string& path) {
  const auto file = MappedFile::open(path);
  return parse_dataset({reinterpret_cast<const char*>(file->data()), file->size()}, path);
}

std::string alpaca_prompt(std::string_view instruction, std::string_view input) {
  std::string prompt = "Below is an instruction that describes a task";
  prompt += input.empty() ? ". " : ", paired with an input that provides further context. ";
  prompt += "Write a response that appropriately completes the request.\n\n### Instruction:\n";
  prompt += instruction;
  if (!input.empty()) {
    prompt += "\n\n### Input:\n";
    prompt += input;
  }
  return prompt + "\n\n### Response:";
}

std::string instruction_text(std::string_view instruction, std::string_view response) {
  std::string text = "### Instruction:\n";
  text.append(instruction).append("\n\n### Response:\n").append(response);
  return text;
}

}  // namespace qlora
