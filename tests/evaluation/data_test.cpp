#include "evaluation/data.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/golden.h"

namespace qlora {
namespace {

Example priced(const char* completion) {
  return Example{Example::Kind::prompt_completion, "p", completion, {}};
}

Example text(const char* of) {
  return {Example::Kind::text, "", of, {}};
}

Tokenizer tokenizer() {
  return Tokenizer::load(QLORA_SOURCE_DIR "/data/tiny-llama");
}

TEST(PriceOf, IsTheIntegerThatTheCompletionBeginsWith) {
  const auto read = [](const char* completion) { return price_of(priced(completion)); };
  EXPECT_EQ(read("12"), 12.0);
  EXPECT_EQ(read(" 7 dollars"), 7.0);
  EXPECT_EQ(read("$1,299.00"), 1299.0);
  EXPECT_EQ(read(" $ 5"), 5.0);
  for (const char* completion : {"none", "0", "", "There are 3 primary colors.", "-4", "$", " "}) {
    EXPECT_EQ(read(completion), std::nullopt) << completion;
  }
  EXPECT_EQ(price_of(text("12")), std::nullopt);
  EXPECT_EQ(price_of({Example::Kind::messages, "", "", {{"assistant", "12"}}}), std::nullopt);
}

TEST(PricesOf, NamesTheRowWithoutAPrice) {
  const std::vector<Example> good = {priced("12"), priced(" 7 dollars")};
  EXPECT_EQ(prices_of(good, "f"), (std::vector<double>{12.0, 7.0}));
  for (const char* completion : {"none", "0", ""}) {
    try {
      prices_of(std::vector<Example>{priced("12"), priced(completion)}, "f");
      ADD_FAILURE() << "accepted \"" << completion << '"';
    } catch (const BadInput& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("f: row 2: no price")) << e.what();
    }
  }
  EXPECT_THROW(prices_of(std::vector<Example>{text("12")}, "f"), BadInput);
  EXPECT_THROW(evaluation_data({text("12")}, tokenizer(), "f"), BadInput);
}

TEST(AnyEvaluationData, HasPricesWhereEveryRowHas) {
  const auto all = any_evaluation_data({priced("12"), priced("7")}, tokenizer(), "f", 64, {});
  EXPECT_EQ(all.prices, (std::vector<double>{12.0, 7.0}));
  EXPECT_EQ(all.no_prices, "");
  const auto some =
      any_evaluation_data({priced("12"), priced("cheap"), text("x y")}, tokenizer(), "f", 64, {});
  EXPECT_TRUE(some.prices.empty());
  EXPECT_EQ(some.no_prices, "row 2 is no prompt with a price as its completion");
  EXPECT_EQ(some.rows.size(), 3u);
  EXPECT_EQ(some.tokenized.size(), 3u);
}

// With room for five tokens the long prompt has no label left; rows and tokens stay side by side.
TEST(AnyEvaluationData, CountsWhatWasCutAndLeftOut) {
  const Example long_prompt{
      Example::Kind::prompt_completion, "how much does this very old and heavy lamp cost", "5", {}};
  const auto data = any_evaluation_data(
      {long_prompt, text("a lamp is a source of light"), text("a")}, tokenizer(), "f", 5, {});
  ASSERT_EQ(data.rows.size(), 2u);
  ASSERT_EQ(data.tokenized.size(), 2u);
  EXPECT_EQ(data.cut, 2);
  EXPECT_EQ(data.left_out, 1);
  EXPECT_EQ(data.rows[1].completion, "a");
  EXPECT_EQ(data.tokenized[0].input_ids.size(), 5u);
  EXPECT_LT(data.tokenized[1].input_ids.size(), 5u);
  EXPECT_EQ(data.no_prices, "row 2 is no prompt with a price as its completion");
  EXPECT_THROW(any_evaluation_data({long_prompt}, tokenizer(), "f", 5, {}), BadInput);
}

TEST(QuestionOf, IsWhatComesBeforeTheAnswer) {
  const ChatTemplate llama2{ChatTemplate::Kind::llama2};
  const std::vector<Message> talk = {{"user", "What is a lamp?"},
                                     {"assistant", "A light."},
                                     {"user", "Old?"},
                                     {"assistant", "No."}};
  const Example open{Example::Kind::messages, "", "", {talk.begin(), talk.end() - 1}};
  const auto data = any_evaluation_data(
      {priced("12"), text("a lamp"), {Example::Kind::messages, "", "", talk}, open}, tokenizer(),
      "f", 512, llama2);
  const Question prompt = question_of(data, 0, tokenizer()).value_or(Question{});
  EXPECT_EQ(prompt.text, "p");
  EXPECT_EQ(prompt.expected, "12");
  EXPECT_EQ(prompt.ids, tokenizer().encode("p"));
  EXPECT_FALSE(question_of(data, 1, tokenizer()).has_value());
  const Question turn = question_of(data, 2, tokenizer()).value_or(Question{});
  EXPECT_EQ(turn.text, "Old?");
  EXPECT_EQ(turn.expected, "No.");
  EXPECT_EQ(turn.ids, encode_chat(llama2, tokenizer(), open.messages, true));
  EXPECT_FALSE(question_of(data, 3, tokenizer()).has_value());
}

}  // namespace
}  // namespace qlora
