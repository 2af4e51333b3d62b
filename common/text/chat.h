// Chat templates: conversations in the words that a model was tuned on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/dataset.h"
#include "text/tokenizer.h"

namespace qlora {

/// The templates that are known.
enum class ChatTemplate { none, llama2 };

/// The template of a model folder: `chat_template` of tokenizer_config.json, or
/// chat_template.jinja; none where there is neither.
/// @throws BadInput for a template that is not known here (known is Llama 2's)
ChatTemplate chat_template_of(const std::string& model_folder);

/// The ids of a conversation in Llama 2's template (meta-llama/llama, generation.py,
/// chat_completion): each finished pair is BOS + "[INST] user [/INST] answer " + EOS; a last user
/// turn is BOS + "[INST] user [/INST]". A system message goes into the first user turn.
/// @throws BadInput if roles do not alternate as user, assistant, … or content holds a tag
std::vector<std::int32_t> encode_llama2_chat(const Tokenizer& tokenizer,
                                             std::span<const Message> messages);

/// The same as text, with the names of the control pieces ("<s>", "</s>") where they stand.
std::string render_llama2_chat(std::span<const Message> messages);

}  // namespace qlora
