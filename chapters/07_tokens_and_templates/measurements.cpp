#include "measurements.h"

#include <algorithm>

#include "text/batch.h"
#include "text/examples.h"
#include "text/packing.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"

namespace qlora::chapter07 {
namespace {

constexpr std::int64_t kBatch = 16, kPackedLength = 256;

constexpr const char* kGenesis =
    "In the beginning God created the heaven and the earth. And the earth was without form, and "
    "void; and darkness was upon the face of the deep. And the Spirit of God moved upon the face "
    "of the waters. And God said, Let there be light: and there was light. And God saw the light, "
    "that it was good: and God divided the light from the darkness.";

constexpr EncodeOptions kBare = {.add_bos = false};

std::int64_t count(const Tokenizer& tokenizer, const std::string& text) {
  return std::ssize(tokenizer.encode(text, kBare));
}

// The pairs with the first merges only.
BytePairs cut(const BytePairs& pairs, std::size_t merges) {
  BytePairs first = pairs;
  first.merges.resize(merges);
  return first;
}

double bytes_a_token(const ByteLevelBpe& bpe, const std::string& text) {
  const PreTokenizer split({{Regex(kLlama3Split, Regex::Syntax::expression, "", "")}});
  ByteLevelBpe::Workspace workspace;
  std::vector<std::int32_t> ids;
  split.split(text, [&](std::string_view piece) { bpe.encode(piece, workspace, ids); });
  return static_cast<double>(text.size()) / static_cast<double>(ids.size());
}

}  // namespace

Vocabularies embedded_vocabularies() {
  const std::string data = QLORA_DATA_DIR;
  const std::string file = data + "/tiny-bpe/tokenizer.json";
  return {Tokenizer::load(data + "/tiny-llama"), Tokenizer::load(data + "/tiny-bpe"),
          TokenizerJson::parse(Json::read(file), file).pairs,
          read_dataset(data + "/prices/test.jsonl")};
}

std::vector<TextCount> text_counts(const Vocabularies& v) {
  std::vector<TextCount> rows = {
      {"a price item", v.rows[0].prompt + v.rows[0].completion},
      {"Genesis", kGenesis},
      {"German", "Am Anfang schuf Gott Himmel und Erde. Und die Erde war wüst und leer."},
      {"Japanese", "はじめに神は天と地とを創造された。"},
      {"digits", "3.14159265358979 1234567 2024-12-31"},
      {"code", "for (int i = 0; i < n; ++i) {\n    sum += x[i];\n}\n"}};
  for (TextCount& row : rows) {
    row.bytes = std::ssize(row.text);
    row.sentencepiece = count(v.sentencepiece, row.text);
    row.byte_level = count(v.byte_level, row.text);
  }
  return rows;
}

std::vector<MergeStep> merge_steps(const BytePairs& pairs, const std::string& piece) {
  std::vector<MergeStep> steps;
  std::vector<std::int32_t> before;
  // The first n merges leave a piece as it is once the n-th is done.
  for (std::size_t merges = 0; merges <= pairs.merges.size(); ++merges) {
    if (merges > 0) {
      // Only a merge that the piece holds can change it.
      const std::string& token = pairs.tokens[pairs.merges[merges - 1].result];
      if (piece.find(token) == std::string::npos) continue;
    }
    ByteLevelBpe::Workspace workspace;
    std::vector<std::int32_t> ids;
    ByteLevelBpe(cut(pairs, merges)).encode(piece, workspace, ids);
    if (ids == before) continue;
    MergeStep& step = steps.emplace_back();
    step.rank = static_cast<std::int64_t>(merges) - 1;
    for (const std::int32_t id : ids) step.tokens.push_back(pairs.tokens[id]);
    before = ids;
  }
  return steps;
}

std::vector<Compression> compression_by_size(const Vocabularies& v) {
  std::string prices;
  for (std::size_t i = 0; i < 200; ++i) prices += v.rows[i].prompt + v.rows[i].completion;
  const std::size_t first = v.pairs.tokens.size() - v.pairs.merges.size();
  std::vector<Compression> sizes;
  for (std::size_t merges = 0; merges <= v.pairs.merges.size(); merges += 32) {
    const ByteLevelBpe bpe(cut(v.pairs, merges));
    sizes.push_back({static_cast<std::int64_t>(first + merges), bytes_a_token(bpe, prices),
                     bytes_a_token(bpe, kGenesis)});
  }
  return sizes;
}

std::vector<Layout> layouts(const Vocabularies& v) {
  const TokenizedDataset set = tokenize_dataset(v.rows, v.byte_level, kPackedLength);
  std::vector<std::int64_t> lengths;
  lengths.reserve(set.examples.size());
  for (const TokenizedExample& e : set.examples) lengths.push_back(std::ssize(e.input_ids));
  const auto padded = [&](const char* name, const std::vector<std::int64_t>& order) {
    Layout layout{name};
    for (std::size_t at = 0; at < order.size(); at += kBatch) {
      const auto rows =
          std::span(order).subspan(at, std::min<std::size_t>(kBatch, order.size() - at));
      const Batch batch = collate(set.examples, rows, v.byte_level.padding());
      layout.positions += batch.input_ids.numel();
      layout.tokens += batch.tokens;
    }
    return layout;
  };
  std::vector<Layout> all = {
      padded("random order", epoch_order(std::ssize(set.examples), 1, 0)),
      padded("grouped by length", length_grouped_order(lengths, kBatch, 1, 0))};
  Layout packed{"packed, rows of 256"};
  for (const TokenizedExample& row : pack(set.examples, kPackedLength)) {
    packed.positions += kPackedLength;
    packed.tokens += std::ssize(row.input_ids);
  }
  all.push_back(packed);
  return all;
}

}  // namespace qlora::chapter07
