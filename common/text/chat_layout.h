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

/// Llama 2's layout: each user turn is BOS + "[INST] user [/INST]", and its answer goes on in the
/// same text with " answer " before EOS. A system message stands at the head of the first user turn
/// as "<<SYS>>\nsystem\n<</SYS>>\n\n", and that turn is stripped as a whole. A last user turn stays
/// open: the answer comes next, without a generation prompt.
/// @throws BadInput if there is no user turn, if roles do not alternate as user, assistant, … or
///         content holds a tag
std::vector<ChatPart> llama2_layout(std::span<const Message> messages);

/// Llama 3's layout: BOS, then of each message <|start_header_id|>, its role, <|end_header_id|>,
/// "\n\n" with its stripped content as one text, <|eot_id|>.
/// @param add_generation_prompt  ends with the header of an answer to come
/// @throws BadInput if there is no message
std::vector<ChatPart> llama3_layout(std::span<const Message> messages,
                                    bool add_generation_prompt = false);

/// Llama 3.1's and 3.2's layout: Llama 3's, and in front of the system message, which there is in
/// any case, until when the model's knowledge reaches and what day it is: "Cutting Knowledge Date:
/// December 2023\nToday Date: " + date_string + "\n\n".
/// @throws BadInput if there is no message
std::vector<ChatPart> llama3_1_layout(std::span<const Message> messages,
                                      const std::string& date_string,
                                      bool add_generation_prompt = false);

}  // namespace qlora
