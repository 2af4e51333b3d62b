#include "text/chat.h"

#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace qlora {
namespace {

constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;

bool exists(const std::string& path) {
  return std::ifstream(path).good();
}

std::string template_text(const std::string& folder, std::string& file) {
  file = folder + "/chat_template.jinja";
  if (exists(file)) return read_file(file, kMaxTemplateBytes);
  file = folder + "/tokenizer_config.json";
  if (!exists(file)) return "";
  const Json config = Json::read(file);
  const Json* text = config.find("chat_template");
  return text == nullptr ? "" : text->as_string();
}

// Python's str.strip() on ASCII white space.
std::string_view strip(std::string_view s) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t begin = s.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return "";
  return s.substr(begin, s.find_last_not_of(kSpace) - begin + 1);
}

// One user turn with its answer; the last one may have none.
struct Turn {
  std::string text;  // what stands between BOS and EOS
  bool finished = false;
};

void refuse_tags(const Message& message) {
  for (const char* tag : {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"}) {
    if (message.content.find(tag) != std::string::npos) {
      throw BadInput("", "messages", std::string("content holds the template's own tag ") + tag);
    }
  }
}

std::vector<Turn> turns_of(std::span<const Message> messages) {
  std::string system;
  if (!messages.empty() && messages[0].role == "system") {
    refuse_tags(messages[0]);
    system = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n";
    messages = messages.subspan(1);
  }
  if (messages.empty()) throw BadInput("", "messages", "no user message");
  std::vector<Turn> turns;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    const char* expected = i % 2 == 0 ? "user" : "assistant";
    if (message.role != expected) {
      throw BadInput("", "messages[" + std::to_string(i) + "]",
                     "the role \"" + message.role + "\", expected " + expected);
    }
    refuse_tags(message);
    if (i % 2 == 0) {
      const std::string content = (i == 0 ? system : "") + message.content;
      turns.push_back({std::string("[INST] ").append(strip(content)).append(" [/INST]"), false});
    } else {
      turns.back().text.append(" ").append(strip(message.content)).append(" ");
      turns.back().finished = true;
    }
  }
  return turns;
}

}  // namespace

ChatTemplate chat_template_of(const std::string& model_folder) {
  std::string file;
  const std::string text = template_text(model_folder, file);
  if (text.empty()) return ChatTemplate::none;
  if (text.find("[INST]") != std::string::npos && text.find("<<SYS>>") != std::string::npos) {
    return ChatTemplate::llama2;
  }
  throw BadInput(file, "chat_template", "not a template that is supported; supported is Llama 2's");
}

std::vector<std::int32_t> encode_llama2_chat(const Tokenizer& tokenizer,
                                             std::span<const Message> messages) {
  std::vector<std::int32_t> ids;
  for (const Turn& turn : turns_of(messages)) {
    const auto part = tokenizer.encode(turn.text, {.add_bos = true, .add_eos = turn.finished});
    ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

std::string render_llama2_chat(std::span<const Message> messages) {
  std::string text;
  for (const Turn& turn : turns_of(messages)) {
    text += "<s>" + turn.text;
    if (turn.finished) text += "</s>";
  }
  return text;
}

}  // namespace qlora
