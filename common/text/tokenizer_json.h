// tokenizer.json of the tokenizers library, read and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "text/added_tokens.h"
#include "text/byte_level_bpe.h"
#include "text/pre_tokenizer.h"

namespace qlora {

/// A byte-level BPE tokenizer as its file describes it.
struct TokenizerJson {
  BytePairs pairs;                       ///< model: vocabulary and merges
  std::vector<AddedToken> added_tokens;  ///< found in a text before all else
  PreTokenizer pre_tokenizer;            ///< splits what is between them
  std::vector<std::int32_t> prefix;      ///< ids that post_processor puts before a text

  /// What the tokenizer is if it is not a byte-level BPE ("a Unigram model"), else "".
  /// @throws BadInput if the file is no tokenizer.json
  static std::string other_kind(const Json& json);

  /// Reads a byte-level BPE: its vocabulary and merges (pairs, or strings "left right"),
  /// added_tokens, a pre_tokenizer of Split (Isolated or Removed), Digits and ByteLevel, a
  /// post_processor of ByteLevel and TemplateProcessing. What would change ids or text and is not
  /// supported is refused by name: a normalizer, dropout, affixes of words, lstrip, rstrip and
  /// single_word of an added token, a template with tokens behind the text. truncation and padding
  /// are passed over, as transformers does.
  ///
  /// The file is not trusted: ids are 0 … n-1, each once, and a merge names tokens that there are.
  /// @throws BadInput naming `file` and the path of the value
  static TokenizerJson parse(const Json& json, const std::string& file);
};

}  // namespace qlora
