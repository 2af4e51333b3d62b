// What a conversation is made of before it becomes ids.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "text/dataset.h"

namespace qlora {

/// A stretch of a conversation: text, or one special token.
struct ChatPart {
  /// How it becomes ids: encoded as text, or the id of BOS, of EOS, of the token of that name.
  enum class Kind { text, bos, eos, token };
  Kind kind = Kind::text;  ///< which of these
  std::string text;        ///< the text, or the token's name
};

/// Llama 2's layout (text/chat.h, encode_chat).
/// @throws BadInput if roles do not alternate as user, assistant, … or content holds a tag
std::vector<ChatPart> llama2_layout(std::span<const Message> messages);

/// Llama 3's layout. @throws BadInput if there is no message
std::vector<ChatPart> llama3_layout(std::span<const Message> messages);

/// Llama 3.1's and 3.2's layout: Llama 3's, and in front of the system message, which there is in
/// any case, until when the model's knowledge reaches and what day it is.
/// @throws BadInput if there is no message
std::vector<ChatPart> llama3_1_layout(std::span<const Message> messages,
                                      const std::string& date_string);

}  // namespace qlora
