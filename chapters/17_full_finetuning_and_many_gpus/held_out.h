// What of the pre-training text is held out of training, and the part of it that is kept in data/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/corpus.h"
#include "text/examples.h"

namespace qlora::chapter17 {

/// The documents of a corpus, apart.
struct SplitCorpus {
  std::vector<std::string> train;     ///< to learn from
  std::vector<std::string> held_out;  ///< every 50th: its loss says what was learned
};

/// Every 50th document, from the first on, is held out.
SplitCorpus split(const Corpus& corpus);

/// The command line of `held-out`.
struct HeldOutOptions {
  std::string output;            ///< JSONL of {"text": …}
  CorpusSources sources;         ///< of the text, those of `pretrain`
  std::int64_t documents = 400;  ///< the first so many of those that are held out
};

/// Writes the file. @throws BadInput
void write_held_out(const HeldOutOptions& options);

/// data/tiny-llama/held_out.jsonl as blocks of 128 tokens, each of them supervised: what `pretrain`
/// measures its loss on, in small.
std::vector<TokenizedExample> old_text(const Tokenizer& tokenizer);

}  // namespace qlora::chapter17
