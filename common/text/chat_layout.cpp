#include "text/chat_layout.h"

#include <string_view>

#include "core/error.h"
#include "text/utf8.h"

namespace qlora {
namespace {

using Kind = ChatPart::Kind;

void refuse_tags(const Message& message) {
  for (const char* tag : {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"}) {
    if (message.content.find(tag) != std::string::npos) {
      throw BadInput("", "messages", std::string("content holds the template's own tag ") + tag);
    }
  }
}

void require_messages(std::span<const Message> messages, std::string_view missing) {
  if (messages.empty()) throw BadInput("", "messages", missing);
}

bool begins_with_system(std::span<const Message> messages) {
  return !messages.empty() && messages[0].role == "system";
}

// "\n\n" and the content are one text: so do transformers and Meta split it, since no content
// begins with white space.
void append_header(const std::string& role, std::string_view content,
                   std::vector<ChatPart>& parts) {
  parts.push_back({Kind::token, "<|start_header_id|>"});
  parts.push_back({Kind::text, role});
  parts.push_back({Kind::token, "<|end_header_id|>"});
  parts.push_back({Kind::text, std::string("\n\n").append(content)});
}

void append_message(const std::string& role, std::string_view content,
                    std::vector<ChatPart>& parts) {
  append_header(role, content, parts);
  parts.push_back({Kind::token, "<|eot_id|>"});
}

void append_messages(std::span<const Message> messages, bool add_generation_prompt,
                     std::vector<ChatPart>& parts) {
  for (const Message& m : messages) append_message(m.role, stripped(m.content), parts);
  if (add_generation_prompt) append_header("assistant", "", parts);
}

}  // namespace

std::vector<ChatPart> llama2_layout(std::span<const Message> messages) {
  std::string system;
  if (begins_with_system(messages)) {
    refuse_tags(messages[0]);
    system = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n";
    messages = messages.subspan(1);
  }
  require_messages(messages, "no user message");
  std::vector<ChatPart> parts;
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
      parts.push_back({Kind::bos, "<s>"});
      parts.push_back({Kind::text, "[INST] "});
      parts.back().text.append(stripped(content)).append(" [/INST]");
    } else {  // the pair is one text
      parts.back().text.append(" ").append(stripped(message.content)).append(" ");
      parts.push_back({Kind::eos, "</s>"});
    }
  }
  return parts;
}

std::vector<ChatPart> llama3_layout(std::span<const Message> messages, bool add_generation_prompt) {
  require_messages(messages, "no message");
  std::vector<ChatPart> parts = {{Kind::bos, "<|begin_of_text|>"}};
  append_messages(messages, add_generation_prompt, parts);
  return parts;
}

std::vector<ChatPart> llama3_1_layout(std::span<const Message> messages,
                                      const std::string& date_string, bool add_generation_prompt) {
  require_messages(messages, "no message");
  std::string system = "Cutting Knowledge Date: December 2023\nToday Date: " + date_string + "\n\n";
  if (begins_with_system(messages)) {
    system.append(stripped(messages[0].content));
    messages = messages.subspan(1);
  }
  std::vector<ChatPart> parts = {{Kind::bos, "<|begin_of_text|>"}};
  append_message("system", system, parts);
  append_messages(messages, add_generation_prompt, parts);
  return parts;
}

}  // namespace qlora
