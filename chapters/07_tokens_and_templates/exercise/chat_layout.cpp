// Task 2: conversations as Llama 2 and Llama 3 read them. What each function does stands in
// common/text/chat_layout.h; stripped() is in text/utf8.h.
#include "text/chat_layout.h"

#include "core/todo.h"

namespace qlora {

std::vector<ChatPart> llama2_layout(std::span<const Message> messages) {
  todo("llama2_layout", "chapter 07, task 2");
}

std::vector<ChatPart> llama3_layout(std::span<const Message> messages, bool add_generation_prompt) {
  todo("llama3_layout", "chapter 07, task 2");
}

std::vector<ChatPart> llama3_1_layout(std::span<const Message> messages,
                                      const std::string& date_string, bool add_generation_prompt) {
  todo("llama3_1_layout", "chapter 07, task 2");
}

}  // namespace qlora
