// Data sets: JSONL files of the shapes that the ecosystem uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qlora {

/// One turn of a conversation.
struct Message {
  std::string role;     ///< "system", "user" or "assistant"
  std::string content;  ///< what is said, without the template's marks
};

/// One row. A prompt-completion row trains on the completion alone; a text row (its text is in
/// `completion`) and a conversation train on everything.
struct Example {
  /// The shape of a row.
  enum class Kind { prompt_completion, text, messages };
  Kind kind = Kind::text;         ///< says which members are used
  std::string prompt;             ///< of prompt_completion
  std::string completion;         ///< of prompt_completion and text
  std::vector<Message> messages;  ///< of messages
  std::string place = {};         ///< "line 3" of its file, "[2]" of an array; empty: of no file
};

/// What row `i`, from 0, is called in messages: its place, or of no file "row i + 1".
std::string place_of(const Example& row, std::size_t i);

/// Reads {"prompt","completion"}, {"instruction","input","output"}, {"text"} or
/// {"messages":[{"role","content"}]}, one object a line; other keys are ignored. A file that begins
/// with "[" is one JSON array of such objects. Blank lines are skipped.
/// @throws BadInput naming the file and "line N" (or "[N]"), also if there is no row at all
std::vector<Example> read_dataset(const std::string& path);

/// The same from memory; `file` is named in error messages.
std::vector<Example> parse_dataset(std::string_view text, const std::string& file);

/// Stanford Alpaca's prompt (tatsu-lab/stanford_alpaca, train.py, PROMPT_DICT).
std::string alpaca_prompt(std::string_view instruction, std::string_view input);

/// A short form of it that is passed around, a whole row as one text: "### Instruction:\n" +
/// instruction + "\n\n### Response:\n" + response. Nothing in it says that the response is over.
std::string instruction_text(std::string_view instruction, std::string_view response);

}  // namespace qlora
