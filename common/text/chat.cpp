#include "text/chat.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "text/chat_layout.h"

namespace qlora {
namespace {

using Kind = ChatTemplate::Kind;

constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Of a list of {"name", "template"} the one that is meant where no name is given.
const Json* default_of(const Json& list) {
  for (const Json& entry : list.as_array()) {
    if (entry.at("name").as_string() == "default") return &entry.at("template");
  }
  return nullptr;
}

std::string template_text(const std::string& folder, std::string& file) {
  file = folder + "/chat_template.jinja";
  if (exists(file)) return read_file(file, kMaxTemplateBytes);
  file = folder + "/tokenizer_config.json";
  if (!exists(file)) return "";
  const Json config = Json::read(file);
  const Json* text = config.find("chat_template");
  if (text != nullptr && text->is_array()) text = default_of(*text);
  return text == nullptr ? "" : text->as_string();
}

// A template without white space, and without line ends in its strings, which some templates have
// as they are and others as an escape.
std::string squeezed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text.substr(i, 2) == "\\n";
    if (escape) ++i;
    if (!escape && std::string_view(" \t\r\n").find(text[i]) == std::string_view::npos) {
      out += text[i];
    }
  }
  return out;
}

// What the template sets date_string to where nothing else is known.
std::optional<std::string> date_in(std::string_view text) {
  constexpr std::string_view kSet = "set date_string = \"";
  const std::size_t begin = text.find(kSet);
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin + kSet.size());
  const std::size_t end = text.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, end));
}

std::optional<ChatTemplate> recognized(std::string_view text) {
  const std::string code = squeezed(text);
  const auto has = [&](std::string_view part) { return code.find(part) != std::string::npos; };
  if (has("[INST]") && has("<<SYS>>")) return ChatTemplate{Kind::llama2};
  if (!has("'<|start_header_id|>'+message['role']+'<|end_header_id|>'"
           "+message['content']|trim+'<|eot_id|>'")) {
    return std::nullopt;
  }
  if (!has("system<|end_header_id|>")) return ChatTemplate{Kind::llama3};
  const std::optional<std::string> date = date_in(text);
  if (!date || !has("\"CuttingKnowledgeDate:December2023\"") ||
      !has("\"TodayDate:\"+date_string+\"\"")) {
    return std::nullopt;
  }
  return ChatTemplate{Kind::llama3_1, *date};
}

std::vector<ChatPart> layout_of(const ChatTemplate& chat, std::span<const Message> messages,
                                bool add_generation_prompt) {
  switch (chat.kind) {
    case Kind::llama2:
      return llama2_layout(messages);
    case Kind::llama3:
      return llama3_layout(messages, add_generation_prompt);
    case Kind::llama3_1:
      return llama3_1_layout(messages, chat.date_string, add_generation_prompt);
    case Kind::none:
      break;
  }
  throw BadInput("", "messages",
                 "conversations need a chat template, and the model's folder has none");
}

std::vector<std::int32_t> ids_of(const ChatPart& part, const Tokenizer& tokenizer) {
  const auto one = [&](std::optional<std::int32_t> id) {
    if (!id) throw BadInput("", "messages", "the tokenizer has no token " + part.text);
    return std::vector{*id};
  };
  switch (part.kind) {
    case ChatPart::Kind::bos:
      return one(tokenizer.bos_id());
    case ChatPart::Kind::eos:
      return one(tokenizer.eos_id());
    case ChatPart::Kind::token: {
      const auto ids = tokenizer.encode(part.text, {.add_bos = false});
      return one(ids.size() == 1 && tokenizer.is_special(ids[0]) ? std::optional(ids[0])
                                                                 : std::nullopt);
    }
    case ChatPart::Kind::text:
      break;
  }
  return tokenizer.encode(part.text, {.add_bos = false, .split_special_tokens = true});
}

}  // namespace

ChatTemplate chat_template_of(const std::string& model_folder) {
  std::string file;
  const std::string text = template_text(model_folder, file);
  if (text.empty()) return {};
  const std::optional<ChatTemplate> known = recognized(text);
  if (!known) {
    throw BadInput(file, "chat_template",
                   "not a template that is supported, which rows with messages need; supported "
                   "are Llama 2's, Llama 3's, and that of Llama 3.1 and 3.2");
  }
  return *known;
}

ChatTemplate known_chat_template_of(const std::string& model_folder) {
  std::string file;
  return recognized(template_text(model_folder, file)).value_or(ChatTemplate{});
}

std::vector<std::int32_t> encode_chat(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                      std::span<const Message> messages,
                                      bool add_generation_prompt) {
  std::vector<std::int32_t> ids;
  for (const ChatPart& part : layout_of(chat, messages, add_generation_prompt)) {
    const auto of_part = ids_of(part, tokenizer);
    ids.insert(ids.end(), of_part.begin(), of_part.end());
  }
  return ids;
}

std::string render_chat(const ChatTemplate& chat, std::span<const Message> messages,
                        bool add_generation_prompt) {
  std::string text;
  for (const ChatPart& part : layout_of(chat, messages, add_generation_prompt)) text += part.text;
  return text;
}

}  // namespace qlora
