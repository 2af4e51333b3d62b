// What chapter 7 measures, on the vocabularies and the data of the tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/byte_level_bpe.h"
#include "text/dataset.h"
#include "text/tokenizer.h"

namespace qlora::chapter07 {

/// The two vocabularies of the tree: Llama 2's kind and Llama 3's kind.
struct Vocabularies {
  Tokenizer sentencepiece;    ///< data/tiny-llama
  Tokenizer byte_level;       ///< data/tiny-bpe
  BytePairs pairs;            ///< of the latter, its merges
  std::vector<Example> rows;  ///< price items that neither was learned from
};

/// Reads them. @throws BadInput
Vocabularies embedded_vocabularies();

/// A text, and how many tokens it is.
struct TextCount {
  std::string name;                ///< what it is
  std::string text;                ///< itself
  std::int64_t bytes = 0;          ///< UTF-8
  std::int64_t sentencepiece = 0;  ///< tokens, without BOS
  std::int64_t byte_level = 0;     ///< likewise
};

/// English, other languages, digits, code, in both vocabularies.
std::vector<TextCount> text_counts(const Vocabularies& v);

/// The states of a piece while it is merged: its tokens before the first merge and after each one
/// that applies, with the merge's rank (-1: before).
struct MergeStep {
  std::int64_t rank = -1;           ///< of the merge that was applied
  std::vector<std::string> tokens;  ///< as bytes
};
std::vector<MergeStep> merge_steps(const BytePairs& pairs, const std::string& piece);

/// Bytes a token with the first merges alone, so that the vocabulary has vocab_size tokens.
struct Compression {
  std::int64_t vocab_size = 0;  ///< special tokens, bytes, merges
  double prices = 0.0;          ///< of held-out price items
  double prose = 0.0;           ///< of English prose
};
std::vector<Compression> compression_by_size(const Vocabularies& v);

/// One way of laying rows into batches.
struct Layout {
  std::string name;            ///< which way
  std::int64_t positions = 0;  ///< that the model computes
  std::int64_t tokens = 0;     ///< of them that are text

  /// The share that is not.
  double padding() const {
    return 1.0 - static_cast<double>(tokens) / static_cast<double>(positions);
  }
};

/// Batches of 16 price items: in random order, grouped by length, and packed into rows of 256.
std::vector<Layout> layouts(const Vocabularies& v);

}  // namespace qlora::chapter07
