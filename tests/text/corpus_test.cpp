#include "text/corpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"
#include "text/dataset.h"
#include "text/embedded_tokenizer.h"
#include "text/price_words.h"
#include "text/product_text.h"
#include "text/sentencepiece_training.h"

namespace qlora {
namespace {

using testing::scratch;

const char* const kEntries =
    "  1 This software and database is being provided to you | the licence at the top\n"
    "00000001 06 n 02 boiling_kettle 0 boiler 0 001 @ 03 n 0000 | a metal pot for boiling; "
    "\"put the kettle on\"; \"is it hot?\"  \n"
    "00000002 00 a 01 due_south(p) 0 000 | in the south  \n"
    "00000003 05 n 01 Felis 0 000 | type genus of cats  \n"
    "00000004 18 n 01 bad_word 0 000 | (ethnic slur) offensive term  \n"
    "00000005 03 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | ten words\n"
    "broken line\n"
    "00000006 03 n zz word 0 000 | a count that is no number\n";

TEST(WordNetDocuments, BecomeSentences) {
  EXPECT_EQ(wordnet_documents(kEntries),
            (std::vector<std::string>{
                "Boiling kettle, boiler: a metal pot for boiling. Put the kettle on. Is it hot?",
                "Due south: in the south.", "A, b, c, d, e, f, g, h, i, j: ten words."}));
  EXPECT_TRUE(wordnet_documents("").empty());
}

TEST(BibleDocuments, JoinVersesOfAChapter) {
  EXPECT_EQ(bible_documents("Ge1:1 In the beginning.\nGe1:2 And the earth.\nGe2:1 Thus.\n", "b"),
            (std::vector<std::string>{"In the beginning. And the earth.", "Thus."}));
  std::string chapter;
  for (int verse = 1; verse <= 40; ++verse) {
    chapter += "Ps1:" + std::to_string(verse) + " " + std::string(99, 'a') + "\n";
  }
  const auto paragraphs = bible_documents(chapter, "b");
  EXPECT_GT(paragraphs.size(), 3u);
  for (const std::string& p : paragraphs) EXPECT_LE(p.size(), 1200u);
  EXPECT_THROW(bible_documents("no verse here\n", "b"), BadInput);
  EXPECT_THROW(bible_documents("Ge1:1 a\nword\n", "b"), BadInput);
}

TEST(ProductDescription, NeverIsAboutAnItemOrAPrice) {
  std::set<std::string> different;
  for (std::int64_t i = 0; i < 5000; ++i) {
    const std::string text = product_description(20240700, i);
    const auto product = find_product(text);
    ASSERT_TRUE(product.has_value()) << text;
    EXPECT_FALSE(is_for_items(product.value_or(Product{}))) << text;
    for (const char* word : {"$", "rice", "ollars"}) {
      EXPECT_EQ(text.find(word), std::string::npos) << text;
    }
    different.insert(text);
  }
  EXPECT_GT(different.size(), 4900u);
  EXPECT_EQ(product_description(3, 17), product_description(3, 17));
  EXPECT_NE(product_description(3, 17), product_description(4, 17));
}

class SmallCorpus : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* part : {"adj", "adv", "noun", "verb"}) {
      std::ofstream(scratch() / (std::string("data.") + part)) << kEntries;
    }
    std::ofstream(scratch() / "bible.txt") << "Ge1:1 In the beginning.\n";
    sources.wordnet = scratch().string();
    sources.bible = (scratch() / "bible.txt").string();
    sources.product_descriptions = 20;
  }
  CorpusSources sources;
};

TEST_F(SmallCorpus, CountsItsParts) {
  const Corpus corpus = build_corpus(sources);
  ASSERT_EQ(corpus.parts.size(), 6u);
  std::int64_t documents = 0;
  std::int64_t bytes = 0;
  for (const CorpusPart& part : corpus.parts) {
    documents += part.documents;
    bytes += part.bytes;
  }
  EXPECT_EQ(documents, 4 * 3 + 1 + 20);
  EXPECT_EQ(static_cast<std::int64_t>(corpus.documents.size()), documents);
  for (const std::string& d : corpus.documents) {
    EXPECT_FALSE(d.empty());
    bytes -= static_cast<std::int64_t>(d.size());
  }
  EXPECT_EQ(bytes, 0);
  EXPECT_EQ(build_corpus(sources).documents, corpus.documents);
  sources.seed = 1;
  EXPECT_NE(build_corpus(sources).documents, corpus.documents);
}

TEST_F(SmallCorpus, NamesTheFileThatIsMissing) {
  std::filesystem::remove(scratch() / "data.verb");
  EXPECT_THROW(build_corpus(sources), BadInput);
  std::ofstream(scratch() / "data.verb") << "nothing\n";
  EXPECT_THROW(build_corpus(sources), BadInput);
}

// The whole recipe: the vocabulary of the embedded model comes out of it byte for byte, and no test
// item stands in the text.
TEST(Corpus, GivesTheEmbeddedVocabularyAndHoldsNoItem) {
  if (!std::filesystem::exists("/usr/share/wordnet/data.noun") ||
      !std::filesystem::exists("/usr/bin/bible")) {
    GTEST_SKIP() << "needs the packages wordnet-base and bible-kjv";
  }
  const Corpus corpus = build_corpus();
  std::set<std::string> items;
  for (const char* split : {"train", "validation", "test"}) {
    const std::string file = QLORA_SOURCE_DIR "/data/prices/" + std::string(split) + ".jsonl";
    for (const Example& row : read_dataset(file)) {
      const std::size_t begin = row.prompt.find("\n\n") + 2;
      items.insert(row.prompt.substr(begin, row.prompt.rfind("\n\n") - begin));
    }
  }
  for (const std::string& document : corpus.documents) {
    EXPECT_LE(document.size(), 1300u);
    const auto product = find_product(document);
    EXPECT_FALSE(product && is_for_items(*product)) << document;
    EXPECT_FALSE(items.contains(document)) << document;
  }
#ifdef NDEBUG  // training takes minutes in an unoptimized or sanitized build
  EXPECT_TRUE(train_sentencepiece(corpus.documents) ==
              read_file(testing::kTinyLlama + "/tokenizer.model"));
#endif
}

}  // namespace
}  // namespace qlora
