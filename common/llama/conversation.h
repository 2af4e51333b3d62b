// A conversation with a model in its own chat template.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "llama/generation.h"
#include "text/chat.h"

namespace qlora {

/// What was said so far, and the keys and values that the model has of it.
class Conversation {
 public:
  /// Generation will also stop at the token that ends a turn in this template.
  /// @param system  the system message; empty: none
  /// @throws BadInput if the template is none, or the tokenizer has more tokens than the model
  Conversation(LlamaModel& model, Tokenizer tokenizer, ChatTemplate chat, std::string_view system);

  /// The model's answer to what the user says next, which is remembered with it. Of the ids so far
  /// the longest beginning that the cache still holds is not computed again. What was thrown at is
  /// not remembered: the conversation goes on with the next.
  /// @param on_text  gets the answer piece by piece; may be empty
  /// @throws BadInput if the conversation and max_new_tokens exceed the model's positions; as
  ///         encode_chat()
  std::string answer(const std::string& said, std::int64_t max_new_tokens, const Sampling& sampling,
                     Arena& arena, const std::function<void(const std::string&)>& on_text = {});

  /// Ids of the last answer, the one that ended it among them.
  const std::vector<std::int32_t>& last_ids() const { return last_ids_; }
  /// Positions that the last answer found in the cache.
  std::int64_t reused() const { return reused_; }

 private:
  void forget_what_differs(const std::vector<std::int32_t>& ids, std::int64_t capacity);

  LlamaModel& model_;
  Tokenizer tokenizer_;
  ChatTemplate chat_;
  std::vector<Message> messages_;
  KeyValueCache cache_;
  std::vector<std::int32_t> cached_;  // the ids whose keys and values are in the cache
  std::vector<std::int32_t> last_ids_;
  std::int64_t reused_ = 0;
};

}  // namespace qlora
