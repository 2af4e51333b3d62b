// Conversations: what the model sees, and what its cache keeps from turn to turn.
#include "llama/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "ops/device_memory.h"
#include "support/device.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::test_arena;

const std::string kFolder = QLORA_SOURCE_DIR "/data/tiny-llama";
const ChatTemplate kLlama2{ChatTemplate::Kind::llama2};

LlamaModel tiny() {
  LoadOptions options;
  options.placement = {testing::test_device(), DType::f32};
  return load_model(kFolder, options);
}

// The logits behind some ids, from nothing.
Tensor fresh_logits(LlamaModel& model, const std::vector<std::int32_t>& ids) {
  Arena arena = test_arena();
  model.reserve_positions(64);
  KeyValueCache cache(model, 64);
  return ops::host_copy(decode_step(model, ids, cache, arena));
}

// Logits of up to 20 after six layers; a product of other sizes sums in another order.
constexpr double kRounding = 1e-4;

TEST(KeyValueCache, CanBeTakenBackToAnEarlierLength) {
  LlamaModel model = tiny();
  Arena arena = test_arena();
  model.reserve_positions(64);
  KeyValueCache cache(model, 64);
  decode_step(model, std::vector<std::int32_t>{1, 300, 400, 500, 600}, cache, arena);
  cache.length = 3;
  const Tensor logits =
      ops::host_copy(decode_step(model, std::vector<std::int32_t>{700, 800}, cache, arena));
  EXPECT_EQ(cache.length, 5);
  EXPECT_TRUE(all_close(logits, fresh_logits(model, {1, 300, 400, 700, 800}), kRounding));
}

TEST(KeyValueCache, HoldsWhatWasGeneratedButTheLastToken) {
  LlamaModel model = tiny();
  Arena arena = test_arena();
  KeyValueCache cache(model, 64);
  const std::vector<std::int32_t> prompt{1, 300, 400};
  std::vector<std::int32_t> ids = generate(model, prompt, 6, {}, cache, arena);
  ASSERT_EQ(ids.size(), 6u) << "no end of text: the test needs another prompt";
  EXPECT_EQ(cache.length, 8);
  const std::int32_t last = ids.back();
  const Tensor logits = ops::host_copy(decode_step(model, std::span(&last, 1), cache, arena));
  ids.insert(ids.begin(), prompt.begin(), prompt.end());
  EXPECT_TRUE(all_close(logits, fresh_logits(model, ids), kRounding));
}

TEST(Conversation, ASecondTurnFindsTheFirstInTheCache) {
  LlamaModel model = tiny();
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  Arena arena = test_arena();
  Conversation talk(model, tokenizer, kLlama2, "Be brief.");
  std::string streamed;
  const std::string first = talk.answer("What is a lamp?", 8, {}, arena,
                                        [&](const std::string& part) { streamed += part; });
  EXPECT_EQ(streamed, first);
  EXPECT_EQ(talk.reused(), 0);
  const std::vector<Message> messages{{"system", "Be brief."}, {"user", "What is a lamp?"}};
  const auto before = std::ssize(encode_chat(kLlama2, tokenizer, messages));
  talk.answer("And a chair?", 8, {}, arena);
  EXPECT_GE(talk.reused(), before - 1) << "all of the first turn's prompt";
  EXPECT_LE(talk.reused(), before + 8);
}

TEST(Conversation, IsWhatTheTemplateMakesOfIt) {
  LlamaModel model = tiny();
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  Arena arena = test_arena();
  const std::vector<Message> messages{{"user", "What is a lamp?"}};
  const std::vector<std::int32_t> ids = encode_chat(kLlama2, tokenizer, messages);
  const Tensor logits = fresh_logits(model, ids);
  const float* scores = logits.data<float>();
  Conversation talk(model, tokenizer, kLlama2, "");
  talk.answer("What is a lamp?", 1, {}, arena);
  ASSERT_EQ(talk.last_ids().size(), 1u);
  const float largest = *std::max_element(scores, scores + logits.numel());
  EXPECT_GE(scores[talk.last_ids()[0]], largest - static_cast<float>(kRounding));
}

TEST(Conversation, MustFitIntoTheModelsPositions) {
  LlamaModel model = tiny();
  Arena arena = test_arena();
  Conversation talk(model, Tokenizer::load(kFolder), kLlama2, "");
  EXPECT_THROW(talk.answer("Tell me all.", 512, {}, arena), BadInput) << "512 positions in all";
  EXPECT_THROW(talk.answer("[INST]", 4, {}, arena), BadInput);
  EXPECT_NO_THROW(talk.answer("What is a lamp?", 4, {}, arena)) << "what was refused is forgotten";
}

// The header of the answer belongs to what the model sees, and its answer ends at <|eot_id|>,
// whatever the configuration says.
TEST(Conversation, Llama3EndsATurnWhereItsTemplateDoes) {
  SKIP_WITHOUT_ASSETS();
  SKIP_ON_GPU();
  const std::string folder = testing::assets() + "/tokenizers/llama3";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  LlamaConfig config;
  config.hidden_size = config.intermediate_size = 16;
  config.num_hidden_layers = config.num_key_value_heads = 1;
  config.num_attention_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 128256;
  config.tie_word_embeddings = true;
  LlamaModel model = random_model(config, 1);
  const ChatTemplate llama3 = chat_template_of(folder);
  ASSERT_EQ(llama3.kind, ChatTemplate::Kind::llama3);
  Conversation talk(model, tokenizer, llama3, "Be brief.");
  EXPECT_EQ(model.config.eos_token_ids, std::vector<std::int64_t>{128009});
  Arena arena;
  talk.answer("What is a lamp?", 4, {}, arena);
  talk.answer("And a chair?", 4, {}, arena);
  const std::vector<Message> first{{"system", "Be brief."}, {"user", "What is a lamp?"}};
  // The answer's header is four tokens, <|start_header_id|>, assistant, <|end_header_id|>, "\n\n".
  EXPECT_GE(talk.reused(), std::ssize(encode_chat(llama3, tokenizer, first)) + 4);
}

TEST(Conversation, NeedsATemplate) {
  LlamaModel model = tiny();
  EXPECT_THROW(Conversation(model, Tokenizer::load(kFolder), {}, ""), BadInput);
}

}  // namespace
}  // namespace qlora
