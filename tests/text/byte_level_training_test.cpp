#include "text/byte_level_training.h"

#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"
#include "support/golden.h"
#include "text/byte_alphabet.h"
#include "text/byte_level_file.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace qlora {
namespace {

using Ties = ByteLevelTraining::Ties;
using Texts = std::vector<std::string>;

ByteLevelTraining with_merges(int n, Ties ties = Ties::greater_bytes) {
  ByteLevelTraining options;
  options.vocab_size = 256 + n;
  options.ties = ties;
  return options;
}

std::string merge_text(const BytePairs& pairs, const BytePairs::Merge& m) {
  return symbols_of_bytes(pairs.tokens[m.left]) + " " + symbols_of_bytes(pairs.tokens[m.right]);
}

std::vector<std::string> merges_of(const BytePairs& pairs) {
  std::vector<std::string> texts;
  texts.reserve(pairs.merges.size());
  for (const BytePairs::Merge& m : pairs.merges) texts.push_back(merge_text(pairs, m));
  return texts;
}

// The rule, word by word, on letters without white space: all counts are taken anew each time.
std::vector<std::string> slowly(const std::string& word, std::size_t merges, Ties ties) {
  std::vector<std::string> tokens;  // of the word, as bytes
  std::map<std::string, int> ids;   // in the order in which they came about
  for (int byte = 0; byte < 256; ++byte) ids[std::string(1, static_cast<char>(byte))] = byte;
  for (const char c : word) tokens.emplace_back(1, c);
  std::vector<std::string> found;
  while (found.size() < merges) {
    std::map<std::pair<std::string, std::string>, int> counts;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) ++counts[{tokens[i], tokens[i + 1]}];
    const std::pair<const std::pair<std::string, std::string>, int>* best = nullptr;
    for (const auto& entry : counts) {
      const auto& [a, b] = entry.first;
      const bool wins = best == nullptr || entry.second > best->second ||
                        (entry.second == best->second &&
                         (ties == Ties::greater_bytes
                              ? entry.first > best->first
                              : std::pair(ids[a], ids[b]) <
                                    std::pair(ids[best->first.first], ids[best->first.second])));
      if (wins) best = &entry;
    }
    if (best == nullptr) break;
    const auto [left, right] = best->first;
    const std::string both = left + right;
    ids.emplace(both, 256 + static_cast<int>(ids.size()));
    found.push_back(std::string(left).append(" ").append(right));
    std::vector<std::string> after;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool here = i + 1 < tokens.size() && tokens[i] == left && tokens[i + 1] == right;
      after.push_back(here ? both : tokens[i]);
      if (here) ++i;
    }
    tokens = after;
  }
  return found;
}

TEST(ByteLevelTraining, TheMostFrequentPairComesFirst) {
  // "ab" stands five times, "bc" three; then "abc" three.
  const BytePairs pairs = train_byte_level(Texts{"abc", "abc", "abc", "ab", "ab"}, with_merges(2));
  EXPECT_EQ(merges_of(pairs), (std::vector<std::string>{"a b", "ab c"}));
  EXPECT_EQ(pairs.tokens[256], "ab");
  EXPECT_EQ(pairs.tokens[257], "abc");
  EXPECT_EQ(pairs.merges[1].rank, 1);
  EXPECT_EQ(pairs.merges[1].left, 256);
  EXPECT_EQ(pairs.merges[1].result, 257);
}

TEST(ByteLevelTraining, IdsBeginWithSpecialTokensAndThenTheBytesByTheirSymbols) {
  ByteLevelTraining options = with_merges(2);
  options.special_tokens = {"<|a|>", "<|b|>"};
  const BytePairs pairs = train_byte_level(Texts{"xyxy"}, options);
  EXPECT_EQ(pairs.tokens[0], "<|a|>");
  EXPECT_EQ(pairs.tokens[1], "<|b|>");
  EXPECT_FALSE(pairs.in_text[1]);
  EXPECT_EQ(pairs.tokens[2], "!");
  EXPECT_EQ(pairs.tokens[3], "\"");
  EXPECT_EQ(pairs.tokens[257], "\xAD");
  EXPECT_TRUE(pairs.in_text[2]);
  EXPECT_EQ(pairs.tokens.size(), 258u);
  EXPECT_TRUE(pairs.merges.empty());  // 258 is full
}

TEST(ByteLevelTraining, AgreesWithTheRuleOnRandomWords) {
  const Random random{9};
  std::uint64_t draw = 0;
  for (int round = 0; round < 60; ++round) {
    std::string word;
    const auto letters = 2 + random.below(draw++, 4);
    const auto length = 1 + random.below(draw++, 80);
    while (word.size() < length) word += static_cast<char>('a' + random.below(draw++, letters));
    for (const Ties ties : {Ties::greater_bytes, Ties::smaller_ids}) {
      EXPECT_EQ(merges_of(train_byte_level(Texts{word}, with_merges(12, ties))).size() >= 1,
                length > 1);
      const auto expected = slowly(word, 12, ties);
      auto got = merges_of(train_byte_level(Texts{word}, with_merges(12, ties)));
      got.resize(std::min(got.size(), expected.size()));
      EXPECT_EQ(got, expected) << word;
    }
  }
}

TEST(ByteLevelTraining, NoMergeReachesAcrossPiecesTextsOrSpecialTokens) {
  ByteLevelTraining options = with_merges(20);
  options.special_tokens = {"<|x|>"};
  ++options.vocab_size;
  const BytePairs pairs = train_byte_level(Texts{"ab ab", "ba<|x|>ba"}, options);
  for (const BytePairs::Merge& m : pairs.merges) {
    const std::string& token = pairs.tokens[m.result];
    EXPECT_TRUE(token == "ab" || token == " ab" || token == "ba") << token;
  }
  EXPECT_EQ(pairs.merges.size(), 3u);  // and then no pair is left
  EXPECT_EQ(pairs.tokens.size(), 1 + 256 + 3u);
}

// tokenizers 0.23.3, BpeTrainer(vocab_size=286, initial_alphabet=ByteLevel.alphabet()) behind
// ByteLevel(add_prefix_space=False), trained on this text.
TEST(ByteLevelTraining, TiesByIdsAreThoseOfTheTokenizersLibrary) {
  ByteLevelTraining options = with_merges(30, Ties::smaller_ids);
  options.split = kGpt2Split;
  const Texts text = {
      "She sells sea shells by the sea shore; the shells she sells are sea shells for sure."};
  EXPECT_EQ(
      merges_of(train_byte_level(text, options)),
      (std::vector<std::string>{"Ġ s",   "h e",      "l l",   "Ġs e",   "ll s",    "Ġs he", "r e",
                                "Ġse a", "Ġshe lls", "t he",  "Ġ the",  "Ġse lls", "S he",  "a re",
                                "b y",   "f o",      "h o",   "u re",   "Ġ are",   "Ġ by",  "Ġ fo",
                                "Ġs ho", "Ġs ure",   "Ġfo r", "Ġsho re"}));
}

TEST(ByteLevelTraining, ImpossibleSizesAndTokensAreRefused) {
  ByteLevelTraining options;
  options.vocab_size = 255;
  EXPECT_THROW(train_byte_level(Texts{"a"}, options), std::invalid_argument);
  options.vocab_size = 300;
  options.special_tokens = {"aa", "aa"};
  EXPECT_THROW(train_byte_level(Texts{"a"}, options), std::invalid_argument);
  options.special_tokens = {"a"};
  EXPECT_THROW(train_byte_level(Texts{"a"}, options), std::invalid_argument);
}

// What stanford-cs336/assignment1-basics has for this corpus: 500 tokens, GPT-2's split.
TEST(ByteLevelTrainingAssets, MergesAndVocabularyOfTheReference) {
  SKIP_WITHOUT_ASSETS();
  const std::string folder = testing::assets() + "/tokenizers/bpe_training/";
  ByteLevelTraining options;
  options.vocab_size = 500;
  options.special_tokens = {"<|endoftext|>"};
  options.split = kGpt2Split;
  const BytePairs pairs = train_byte_level(Texts{read_file(folder + "corpus.en")}, options);
  std::string merges;
  for (const BytePairs::Merge& m : pairs.merges) merges += merge_text(pairs, m) + "\n";
  EXPECT_EQ(merges, read_file(folder + "train-bpe-reference-merges.txt"));
  const Json vocabulary = Json::read(folder + "train-bpe-reference-vocab.json");
  ASSERT_EQ(vocabulary.size(), pairs.tokens.size());
  EXPECT_EQ(vocabulary.at(pairs.tokens[0]).as_integer(), 0);
  for (std::size_t id = 1; id < pairs.tokens.size(); ++id) {
    const Json* known = vocabulary.find(symbols_of_bytes(pairs.tokens[id]));
    ASSERT_NE(known, nullptr) << pairs.tokens[id];
    EXPECT_EQ(known->as_integer(), static_cast<std::int64_t>(id));
  }
}

TEST(ByteLevelFile, IsReadBackAsTheSameTokenizer) {
  ByteLevelTraining options = with_merges(40);
  options.special_tokens = {"<|bos|>", "<|eot|>"};
  options.vocab_size += 2;
  const Texts text = {"the kettle and the kettles; a kettle’s lid, naïve café, 12345"};
  const BytePairs pairs = train_byte_level(text, options);
  const Json file = tokenizer_json(pairs, options.split, "<|bos|>");
  const Tokenizer tokenizer = Tokenizer::from_bytes(file.dump(1), "tokenizer.json");
  EXPECT_EQ(tokenizer.vocab_size(), static_cast<std::int32_t>(pairs.tokens.size()));
  EXPECT_EQ(tokenizer.bos_id(), 0);
  // tokenizers: an added token keeps its id where the vocabulary has it.
  EXPECT_EQ(file.at("model").at("vocab").at("<|eot|>").as_integer(), 1);
  const auto ids = tokenizer.encode(text[0] + "<|eot|>");
  EXPECT_EQ(ids.front(), 0);
  EXPECT_EQ(ids.back(), 1);
  EXPECT_EQ(tokenizer.decode(ids), text[0]);
  EXPECT_LT(ids.size(), text[0].size());
  // Every token that merges made, half a character aside, is found again in a text that is this
  // token alone.
  for (const BytePairs::Merge& m : pairs.merges) {
    if (!is_utf8(pairs.tokens[m.result])) continue;
    const auto again = tokenizer.encode(pairs.tokens[m.result], {.add_bos = false});
    EXPECT_EQ(again, std::vector<std::int32_t>{m.result}) << pairs.tokens[m.result];
  }
  const Tokenizer bare =
      Tokenizer::from_bytes(tokenizer_json(pairs, options.split, std::nullopt).dump(), "f");
  EXPECT_EQ(bare.bos_id(), std::nullopt);
  EXPECT_EQ(bare.encode("the"), tokenizer.encode("the", {.add_bos = false}));
  EXPECT_THROW(tokenizer_json(pairs, options.split, "<|eos|>"), std::invalid_argument);
}

TEST(ByteAlphabet, SymbolsAndBytesAreInversesOfEachOther) {
  std::string bytes;
  for (const char byte : bytes_in_order_of_symbols()) bytes += byte;
  EXPECT_EQ(bytes.size(), 256u);
  EXPECT_EQ(bytes_of_symbols(symbols_of_bytes(bytes)), bytes);
  EXPECT_EQ(symbols_of_bytes(" \n\xAD!"), "\xC4\xA0\xC4\x8A\xC5\x83!");
}

}  // namespace
}  // namespace qlora
