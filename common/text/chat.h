// Chat templates: conversations in the words that a model was tuned on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/dataset.h"
#include "text/tokenizer.h"

namespace qlora {

/// A model's chat template, and what it takes besides the messages.
struct ChatTemplate {
  /// The templates that are known.
  enum class Kind {
    none,      ///< the model has no template: it was not tuned on conversations
    llama2,    ///< [INST] and [/INST], a BOS and an EOS around each pair of turns
    llama3,    ///< a header before each message, <|eot_id|> behind it
    llama3_1,  ///< the same behind a system message that names two dates: Llama 3.1's and 3.2's
  };
  Kind kind = Kind::none;  ///< the one of this model
  /// What llama3_1 calls today, "26 Jul 2024". transformers passes it to the template under this
  /// name, or else the template of Llama 3.2 asks for the day on which it is rendered; here it is
  /// what the template itself falls back to, so that equal data give equal ids on every day.
  std::string date_string = {};
};

/// The template of a model folder: chat_template.jinja, or else `chat_template` of
/// tokenizer_config.json (of several the one named "default"); none where there is neither. It is
/// known by its expressions, white space aside.
/// @throws BadInput for a template that is not known here
ChatTemplate chat_template_of(const std::string& model_folder);

/// The same, but none for a template that is not known: for rows that can do without.
ChatTemplate known_chat_template_of(const std::string& model_folder);

/// The ids of a conversation, as transformers' apply_chat_template has them without tools. White
/// space around a content is left out (Python's str.strip()).
///
/// llama2 (meta-llama/llama, generation.py, chat_completion): each finished pair is BOS + "[INST]
/// user [/INST] answer " + EOS; a last user turn is BOS + "[INST] user [/INST]". A system message
/// goes into the first user turn.
///
/// llama3, llama3_1 (meta-llama/llama-models, chat_format.py): BOS, then of each message
/// <|start_header_id|>, its role, <|end_header_id|>, "\n\n" and its content, <|eot_id|>. llama3_1
/// begins with a system message, even where the conversation has none. What looks like a special
/// token in a content stays text, as in Meta's code; transformers makes it that token.
/// @param add_generation_prompt  ends where the answer begins: for llama3 and llama3_1 behind the
///        header of an assistant's message; llama2's last user turn ends there anyway
/// @throws BadInput if the template is none; for llama2, if roles do not alternate as user,
///         assistant, … or content holds a tag; if the tokenizer lacks one of the special tokens
std::vector<std::int32_t> encode_chat(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                      std::span<const Message> messages,
                                      bool add_generation_prompt = false);

/// The same as text, with the names of the special tokens ("<s>", "<|eot_id|>") where they stand.
/// @throws BadInput as encode_chat() does
std::string render_chat(const ChatTemplate& chat, std::span<const Message> messages,
                        bool add_generation_prompt = false);

}  // namespace qlora
