#include "held_out.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/files.h"
#include "core/json.h"
#include "support/model_options.h"
#include "text/dataset.h"
#include "training/pretraining.h"

namespace qlora::chapter17 {
namespace {

constexpr std::size_t kHeldOutEvery = 50;
constexpr std::int64_t kBlock = 128;

}  // namespace

SplitCorpus split(const Corpus& corpus) {
  SplitCorpus parts;
  for (std::size_t i = 0; i < corpus.documents.size(); ++i) {
    (i % kHeldOutEvery == 0 ? parts.held_out : parts.train).push_back(corpus.documents[i]);
  }
  return parts;
}

void write_held_out(const HeldOutOptions& o) {
  const std::vector<std::string> held_out = split(build_corpus(o.sources)).held_out;
  const std::size_t documents = std::min(held_out.size(), static_cast<std::size_t>(o.documents));
  std::string lines;
  for (std::size_t i = 0; i < documents; ++i) {
    Json line = Json::object();
    line["text"] = held_out[i];
    lines += line.dump() + "\n";
  }
  write_atomically(o.output, lines);
  fmt::print("{} of {} documents that are held out: {}\n", documents, held_out.size(), o.output);
}

std::vector<TokenizedExample> old_text(const Tokenizer& tokenizer) {
  std::vector<std::string> documents;
  for (Example& row : read_dataset(data_folder() + "/tiny-llama/held_out.jsonl")) {
    documents.push_back(std::move(row.completion));
  }
  return blocks_of(documents, tokenizer, kBlock);
}

}  // namespace qlora::chapter17
