// OpenAssistant conversations as one text, in the form that Guanaco was tuned on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/dataset.h"

namespace qlora {

/// The turns of "### Human: question### Assistant: answer### Human: …" as messages of user and
/// assistant, their contents stripped. A marker is "###", white space or none, and "Human:" or
/// "Assistant:"; a line may break inside it. A last question without an answer is left out: there
/// is nothing to learn from it. render_chat() makes the text of another template of the messages.
/// @throws BadInput if the text does not begin with a marker of a question, if turns do not
///         alternate, or if no question has an answer
std::vector<Message> guanaco_messages(std::string_view text);

/// Whether a text begins with such a marker, white space aside.
bool is_guanaco(std::string_view text);

/// Makes conversations of the rows that are such a text.
/// @return how many they were
/// @throws BadInput as guanaco_messages(), naming `file` and the row
std::int64_t guanaco_to_messages(std::vector<Example>& rows, const std::string& file);

}  // namespace qlora
