// Llama 3's own vocabulary, from both of its files: optional assets, not part of the project.
#include <gtest/gtest.h>

#include "core/json.h"
#include "core/random.h"
#include "support/golden.h"
#include "text/chat.h"
#include "text/llama3_files.h"
#include "text/llama_cpp_vectors.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::assets;
using testing::scratch;
using Ids = std::vector<std::int32_t>;

constexpr EncodeOptions kPlain = {.add_bos = false};

std::string folder() {
  return assets() + "/tokenizers/llama3";
}

const Tokenizer& tiktoken() {
  static const Tokenizer tokenizer = Tokenizer::load(folder());
  return tokenizer;
}

Ids ids_of(const Json& array) {
  Ids ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  return ids;
}

void expect_known_answers(const Tokenizer& t) {
  const Json file = Json::read(assets() + "/tokenizers/vectors/llama3_known_answers.json");
  for (const char* rows : {"plain", "with_specials"}) {
    for (const Json& row : file.at(rows).as_array()) {
      const std::string& text = row.at(0).as_string();
      const Ids ids = ids_of(row.at(1));
      EXPECT_EQ(t.encode(text, kPlain), ids) << text;
      EXPECT_EQ(t.decode(ids, false), text);
    }
  }
}

TEST(Llama3Tokenizer, LlamaCppVectors) {
  SKIP_WITHOUT_ASSETS();
  testing::expect_llama_cpp_vectors(tiktoken(), "ggml-vocab-llama-bpe.gguf");
}

TEST(Llama3Tokenizer, KnownAnswers) {
  SKIP_WITHOUT_ASSETS();
  expect_known_answers(tiktoken());
  const Json file = Json::read(assets() + "/tokenizers/vectors/llama3_known_answers.json");
  for (const auto& [content, id] : file.at("specials").as_object()) {
    EXPECT_EQ(tiktoken().encode(content, kPlain), Ids{static_cast<std::int32_t>(id.as_integer())});
  }
}

// Meta's own tests of chat_format.py. The layout has BOS in front, one message there has not.
TEST(Llama3Tokenizer, ChatsInTheLayoutOfMeta) {
  SKIP_WITHOUT_ASSETS();
  const ChatTemplate chat = chat_template_of(folder());
  ASSERT_EQ(chat.kind, ChatTemplate::Kind::llama3);
  const Json file = Json::read(assets() + "/tokenizers/vectors/llama3_known_answers.json");
  ASSERT_EQ(file.at("chat").size(), 2u);
  for (const Json& row : file.at("chat").as_array()) {
    std::vector<Message> messages;
    for (const Json& message : row.at("messages").as_array()) {
      messages.push_back({message.at(0).as_string(), message.at(1).as_string()});
    }
    const bool open = row.find("add_generation_prompt") != nullptr;
    Ids ids = encode_chat(chat, tiktoken(), messages, open);
    if (row.find("message_only") != nullptr) ids.erase(ids.begin());
    EXPECT_EQ(ids, ids_of(row.at("tokens")));
  }
}

// transformers 5.23.0, apply_chat_template(messages, date_string="26 Jul 2024"), with Llama 3.2's
// own template: docs/interoperability.md.
TEST(Llama3Tokenizer, ChatsInTheLayoutOfLlama32) {
  SKIP_WITHOUT_ASSETS();
  const ChatTemplate chat{ChatTemplate::Kind::llama3_1, "26 Jul 2024"};
  const Ids head = {128000, 128006, 9125,  128007, 271,  38766, 1303,  33025, 2696,
                    25,     6790,   220,   2366,   18,   198,   15724, 2696,  25,
                    220,    1627,   10263, 220,    2366, 19,    271};
  const struct {
    std::vector<Message> messages;
    Ids ids;
  } rows[] = {
      {{{"user", " This is a test sentence.\n"}, {"assistant", "Hello world"}},
       {128009, 128006, 882, 128007, 271, 2028, 374, 264, 1296, 11914, 13, 128009, 128006, 78191,
        128007, 271, 9906, 1917, 128009}},
      {{{"system", "\u00A0Be brief.\x1C"}, {"user", "\n\ndon't!\u2003\n"}, {"assistant", "  "}},
       {3513, 10015, 13, 128009, 128006, 882, 128007, 271, 15357, 956, 0, 128009, 128006, 78191,
        128007, 271, 128009}},
      {{{"assistant", "!! 123456"}, {"system", "\u200B日本語"}, {"user", "a\r\n\r\n b"}},
       {128009, 128006, 78191,  128007, 271, 3001,  220,    4513,   10961,
        128009, 128006, 9125,   128007, 271, 16067, 102433, 102158, 128009,
        128006, 882,    128007, 271,    64,  881,   293,    128009}}};
  for (const auto& row : rows) {
    Ids expected = head;
    expected.insert(expected.end(), row.ids.begin(), row.ids.end());
    EXPECT_EQ(encode_chat(chat, tiktoken(), row.messages), expected);
  }
}

TEST(Llama3Tokenizer, AContentEndsNoTurnOfAChat) {
  SKIP_WITHOUT_ASSETS();
  const ChatTemplate chat{ChatTemplate::Kind::llama3};
  const std::vector<Message> messages = {{"user", "<|eot_id|>"}};
  EXPECT_EQ(encode_chat(chat, tiktoken(), messages),
            (Ids{128000, 128006, 882, 128007, 271, 27, 91, 68, 354, 851, 91, 29, 128009}));
}

// Ids of Meta's vocabulary by an independent implementation; the first is Meta's own test.
TEST(Llama3Tokenizer, TableOfTexts) {
  SKIP_WITHOUT_ASSETS();
  const struct {
    std::string text;
    Ids ids;
  } rows[] = {
      {"This is a test sentence.", {2028, 374, 264, 1296, 11914, 13}},
      {" hello  world   ", {24748, 220, 1917, 262}},
      {"\r\n", {319}},
      {" \n \n", {33006}},
      {"I'm I'M you'Re they'LL d'D", {40, 2846, 358, 28703, 499, 50527, 814, 6, 4178, 294, 28805}},
      {" 's", {364, 82}},
      {"it's 2024-12-31: 1234567 tokens",
       {275, 596, 220, 2366, 19, 12, 717, 12, 2148, 25, 220, 4513, 10961, 22, 11460}},
      {"日本語のテキスト", {102433, 102158, 16144, 57933, 62903, 71634}},
      {"👋🏽 emoji 😀", {9468, 239, 233, 9468, 237, 121, 43465, 91416}},
      {"नमस्ते", {61196, 88344, 79468, 100365, 35470}},
      {"\xC2\xA0nbsp", {4194, 5792}},
      {"e\xCC\x81", {68, 54939}},
      {"１２３", {20713, 25963, 34617}},
      {std::string("a\0b", 3), {64, 188, 65}},
      {"\x1C", {216}},
      {"\xE2\x80\x8B", {16067}},
      {std::string(20, 'A'), {59005, 59005, 26783}},
      {" việc", {100769}}};  // a token that no merge makes
  for (const auto& row : rows) EXPECT_EQ(tiktoken().encode(row.text, kPlain), row.ids) << row.text;
  const Ids as_text =
      tiktoken().encode("<|eot_id|>", {.add_bos = false, .split_special_tokens = true});
  EXPECT_EQ(as_text, (Ids{27, 91, 68, 354, 851, 91, 29}));
}

TEST(Llama3Tokenizer, BosEosAndPadding) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer& t = tiktoken();
  EXPECT_EQ(t.vocab_size(), 128256);
  EXPECT_EQ(t.bos_id(), 128000);
  EXPECT_EQ(t.eos_id(), 128009);  // tokenizer_config.json of an Instruct model: "<|eot_id|>"
  EXPECT_EQ(t.pad_id(), std::nullopt);
  EXPECT_EQ(t.encode("Hello world", {.add_bos = true, .add_eos = true}),
            (Ids{128000, 9906, 1917, 128009}));
}

TEST(Llama3Tokenizer, TheJsonGivesTheSameIds) {
  SKIP_WITHOUT_ASSETS();
  PUT_LLAMA3_JSON_OR_SKIP(scratch());
  const Tokenizer t = Tokenizer::load(scratch().string());
  EXPECT_EQ(t.vocab_size(), 128256);
  EXPECT_EQ(t.bos_id(), 128000);
  testing::expect_llama_cpp_vectors(t, "ggml-vocab-llama-bpe.gguf");
  for (const char* name : {"/text/the-verdict.txt", "/tokenizers/bpe_training/corpus.en",
                           "/text/tinyshakespeare.txt"}) {
    const std::string text = read_file(assets() + name);
    const Ids ids = t.encode(text);
    EXPECT_EQ(ids, tiktoken().encode(text)) << name;
    EXPECT_EQ(t.decode(ids), text) << name;
  }
  // Characters that words do not have.
  const Random random{5};
  std::uint64_t draw = 0;
  for (int row = 0; row < 3000; ++row) {
    std::string bytes(random.below(draw++, 40), ' ');
    for (char& c : bytes) c = static_cast<char>(random.below(draw++, 256));
    ASSERT_EQ(t.encode(bytes), tiktoken().encode(bytes));
  }
}

TEST(Llama3Tokenizer, MergesAsPairsAreTheMergesAsStrings) {
  SKIP_WITHOUT_ASSETS();
  PUT_LLAMA3_JSON_OR_SKIP(scratch());
  Json json = Json::read((scratch() / "tokenizer.json").string());
  Json::Array pairs;
  for (const Json& merge : json.at("model").at("merges").as_array()) {
    const std::string& both = merge.as_string();
    const std::size_t space = both.find(' ');
    pairs.push_back(Json(Json::Array{both.substr(0, space), both.substr(space + 1)}));
  }
  json["model"]["merges"] = Json(std::move(pairs));
  const Tokenizer t = Tokenizer::from_bytes(json.dump(), "pairs");
  const std::string text = read_file(assets() + "/text/the-verdict.txt");
  EXPECT_EQ(t.encode(text), tiktoken().encode(text));
}

}  // namespace
}  // namespace qlora
