#include "llama/conversation.h"

#include <algorithm>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::int64_t kLeastCapacity = 512;  // positions

// A cache for `positions`, with room to grow as far as the model reaches.
KeyValueCache roomy_cache(const LlamaModel& model, std::int64_t positions) {
  const std::int64_t most = model.config.max_position_embeddings;
  return KeyValueCache(model, std::min(most, std::max(2 * positions, kLeastCapacity)));
}

}  // namespace

Conversation::Conversation(LlamaModel& model, Tokenizer tokenizer, ChatTemplate chat,
                           std::string_view system)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      chat_(std::move(chat)),
      cache_(roomy_cache(model, 0)) {
  if (chat_.kind == ChatTemplate::Kind::none) {
    throw BadInput("", "chat_template",
                   "the model's folder has none: it was not tuned on conversations");
  }
  require(tokenizer_.vocab_size() <= model.config.vocab_size, "Conversation",
          "a tokenizer of at most the model's tokens");
  if (!system.empty()) messages_.push_back({"system", std::string(system)});
  if (chat_.kind != ChatTemplate::Kind::llama2) {
    // A base model's configuration may not name it as an end.
    for (const std::int32_t id : tokenizer_.encode("<|eot_id|>", {.add_bos = false})) {
      if (tokenizer_.is_special(id)) model.config.eos_token_ids.push_back(id);
    }
  }
}

// Leaves in the cache what is the beginning of ids, but for the last of them: the model must see at
// least one token to say what comes next.
void Conversation::forget_what_differs(const std::vector<std::int32_t>& ids,
                                       std::int64_t capacity) {
  if (cache_.keys.front().dim(1) < capacity) {
    cache_ = roomy_cache(model_, capacity);
    cached_.clear();
  }
  const auto [here, there] = std::mismatch(cached_.begin(), cached_.end(), ids.begin(), ids.end());
  const auto same = std::min<std::int64_t>(here - cached_.begin(), std::ssize(ids) - 1);
  cached_.resize(static_cast<std::size_t>(same));
  cache_.length = reused_ = same;
}

std::string Conversation::answer(const std::string& said, std::int64_t max_new_tokens,
                                 const Sampling& sampling, Arena& arena,
                                 const std::function<void(const std::string&)>& on_text) {
  std::vector<Message> messages = messages_;
  messages.push_back({"user", said});
  const std::vector<std::int32_t> ids =
      encode_chat(chat_, tokenizer_, messages, /*add_generation_prompt=*/true);
  const std::int64_t all = std::ssize(ids) + max_new_tokens;
  const std::int64_t most = model_.config.max_position_embeddings;
  if (all > most) {
    throw BadInput("", "conversation",
                   "what was said and " + std::to_string(max_new_tokens) + " new tokens take " +
                       std::to_string(all) + " positions, the model has " + std::to_string(most));
  }
  forget_what_differs(ids, all);
  DecodeStream stream(tokenizer_);
  std::string text;
  const auto say = [&](const std::string& part) {
    text += part;
    if (on_text) on_text(part);
  };
  const std::span<const std::int32_t> fresh = std::span(ids).subspan(cached_.size());
  last_ids_ =
      generate(model_, fresh, max_new_tokens, sampling, cache_, arena, [&](std::int32_t id) {
        if (id < tokenizer_.vocab_size()) say(stream.push(id));
      });
  say(stream.finish());
  cached_ = ids;
  cached_.insert(cached_.end(), last_ids_.begin(), last_ids_.end() - 1);
  messages.push_back({"assistant", text});
  messages_ = std::move(messages);
  return text;
}

}  // namespace qlora
