#include "text/tiktoken_model.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "text/byte_level_files.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::ranked;
using testing::small_tiktoken;
using Ids = std::vector<std::int32_t>;

std::string problem_of(const std::string& text) {
  try {
    parse_tiktoken(text, "m");
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

TEST(Tiktoken, IsToldByItsFirstLine) {
  EXPECT_TRUE(is_tiktoken("IQ== 0\nIg== 1\n"));
  EXPECT_TRUE(is_tiktoken("IQ== 0\r\n"));
  EXPECT_TRUE(is_tiktoken("YWJj 12"));
  for (const char* other :
       {"", "\n", "IQ==", "IQ== ", " 0", "IQ= 0", "I === 0", "IQ== x", "IR== 0"}) {
    EXPECT_FALSE(is_tiktoken(other)) << other;
  }
}

TEST(Tiktoken, TokensAndTheirMerges) {
  const BytePairs pairs = parse_tiktoken(small_tiktoken(), "m");
  EXPECT_EQ(pairs.tokens.size(), 263u);
  EXPECT_EQ(pairs.tokens[testing::kSpaceW], " w");
  EXPECT_TRUE(pairs.ignore_merges);
  // he, ll, he+ll, hell+o, " w" and lo; "xyz" is no two tokens, "hello" not he and "llo".
  EXPECT_EQ(pairs.merges.size(), 6u);
}

TEST(Tiktoken, LineEndsAndEmptyLinesDoNotMatter) {
  std::string text = small_tiktoken();
  EXPECT_EQ(parse_tiktoken(text + "\n\n", "m").tokens.size(), 263u);
  text.pop_back();
  EXPECT_EQ(parse_tiktoken(text, "m").tokens.size(), 263u);
  std::string windows;
  for (const char c : text) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(parse_tiktoken(windows, "m").tokens, parse_tiktoken(text, "m").tokens);
}

TEST(Tiktoken, NamesTheLineThatIsWrong) {
  const std::string good = small_tiktoken();
  EXPECT_EQ(problem_of(good), "");
  EXPECT_EQ(problem_of(good + "nonsense\n"),
            "m: line 264: expected a token in base64, a space and its rank");
  EXPECT_EQ(problem_of(good + "YWI 263\n"), "m: line 264: broken base64");
  EXPECT_EQ(problem_of(good + "Y=I= 263\n"), "m: line 264: broken base64");
  EXPECT_EQ(problem_of(good + "Y?I= 263\n"), "m: line 264: broken base64");
  EXPECT_EQ(problem_of(good + "==== 263\n"), "m: line 264: broken base64");
  EXPECT_EQ(problem_of(good + ranked(std::string(257, 'a'), 263)),
            "m: line 264: a token of 1 … 256 bytes");
  EXPECT_EQ(problem_of(good + "YWI= 99999999999999999999999\n"),
            "m: line 264: a rank that is not a number of 64 bits");
  EXPECT_EQ(problem_of(good + ranked("ab", 264)),
            "m: line 264: rank 264 of 264 tokens, expected ranks without holes");
  EXPECT_EQ(problem_of(good + ranked("ab", 7)), "m: line 264: rank 7 stands twice");
  EXPECT_EQ(problem_of(good + ranked("he", 263)), "m: line 264: the token stands twice");
  EXPECT_EQ(problem_of(ranked("!", 0)), "m: byte 0 is no token");
  EXPECT_EQ(problem_of(""), "m: byte 0 is no token");
}

TEST(Tiktoken, TheSpecialTokensFollowTheRanks) {
  const auto tokens = llama3_special_tokens(128000);
  ASSERT_EQ(tokens.size(), 256u);
  const auto content = [&](int id) {
    return tokens[static_cast<std::size_t>(id - 128000)].content;
  };
  EXPECT_EQ(content(128000), "<|begin_of_text|>");
  EXPECT_EQ(content(128001), "<|end_of_text|>");
  EXPECT_EQ(content(128004), "<|finetune_right_pad_id|>");
  EXPECT_EQ(content(128005), "<|reserved_special_token_2|>");
  EXPECT_EQ(content(128009), "<|eot_id|>");
  EXPECT_EQ(content(128010), "<|python_tag|>");
  EXPECT_EQ(content(128011), "<|reserved_special_token_3|>");
  EXPECT_EQ(content(128255), "<|reserved_special_token_247|>");
  EXPECT_EQ(tokens.back().id, 128255);
}

TEST(Tiktoken, IsATokenizer) {
  const Tokenizer t = Tokenizer::from_bytes(small_tiktoken(), "m");
  EXPECT_EQ(t.vocab_size(), 263 + 256);
  EXPECT_EQ(t.bos_id(), 263);
  EXPECT_EQ(t.eos_id(), 264);
  EXPECT_EQ(t.pad_id(), std::nullopt);
  EXPECT_EQ(t.encode("hello w<|eot_id|>"), (Ids{263, 259, 260, 272}));
  EXPECT_EQ(t.decode(t.encode("hello \xC3\xA9")), "hello \xC3\xA9");
  EXPECT_TRUE(t.is_special(272));
  EXPECT_FALSE(t.is_special(262));
}

}  // namespace
}  // namespace qlora
