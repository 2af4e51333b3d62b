// One row of a data set as ids, and which of them are trained on.
#include <algorithm>

#include "text/examples.h"

namespace qlora {

TokenizedExample tokenize_example(const Example& example, const Tokenizer& tokenizer,
                                  const ChatTemplate& chat) {
  TokenizedExample row;
  if (example.kind == Example::Kind::messages) {
    row.input_ids = encode_chat(chat, tokenizer, example.messages);
    row.labels = row.input_ids;
    return row;
  }
  row.input_ids =
      tokenizer.encode(example.prompt + example.completion, {.add_bos = true, .add_eos = true});
  row.labels = row.input_ids;
  if (example.kind == Example::Kind::prompt_completion) {
    // TRL: completion_mask = [0] * len(prompt_ids) + [1] * (len(prompt_completion_ids) -
    // len(prompt_ids))
    const std::size_t prompt = tokenizer.encode(example.prompt).size();
    std::fill_n(row.labels.begin(), std::min(prompt, row.labels.size()), kIgnoredLabel);
  }
  return row;
}

}  // namespace qlora
