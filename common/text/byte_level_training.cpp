#include "text/byte_level_training.h"

#include <array>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "text/added_tokens.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace qlora {
namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

struct PairHash {
  std::size_t operator()(const Pair& p) const {
    const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(p.first)) << 32 |
                     static_cast<std::uint32_t>(p.second);
    return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> 16);
  }
};

// A piece of the text as tokens, and how often it stands there.
struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count;
};

// How often two neighbors stand together, and in which words they ever did.
struct Occurrences {
  std::int64_t count = 0;
  std::vector<std::uint32_t> words;
};

std::unordered_map<std::string, std::int64_t> count_pieces(std::span<const std::string> texts,
                                                           const ByteLevelTraining& options) {
  std::vector<AddedToken> special;
  special.reserve(options.special_tokens.size());
  for (const std::string& token : options.special_tokens) special.push_back({token, 0, true});
  const AddedTokens cuts(special);
  const PreTokenizer pieces(
      {{Regex(options.split, Regex::Syntax::expression, "", "the split"), false, false}});
  std::unordered_map<std::string, std::int64_t> counts;
  for (const std::string& text : texts) {
    std::string rest = text;
    const std::string valid = take_text(rest, true, Replacement::of_beginnings);
    for (const AddedTokens::Part& part : cuts.split(valid, false)) {
      if (part.id >= 0) continue;
      pieces.split(part.text, [&](std::string_view piece) { ++counts[std::string(piece)]; });
    }
  }
  return counts;
}

class Trainer {
 public:
  Trainer(std::span<const std::string> texts, const ByteLevelTraining& options)
      : options_(options), candidates_(Later{pairs_.tokens, options.ties}) {
    place_first_tokens();
    std::array<std::int32_t, 256> of_byte{};
    for (std::size_t id = options.special_tokens.size(); id < pairs_.tokens.size(); ++id) {
      of_byte[static_cast<std::uint8_t>(pairs_.tokens[id][0])] = static_cast<std::int32_t>(id);
    }
    for (const auto& [piece, count] : count_pieces(texts, options)) {
      Word& word = words_.emplace_back(Word{{}, count});
      for (const char c : piece) word.ids.push_back(of_byte[static_cast<std::uint8_t>(c)]);
    }
    for (std::uint32_t at = 0; at < words_.size(); ++at) {
      count_neighbors(at, 1);
      for (std::size_t i = 0; i + 1 < words_[at].ids.size(); ++i) note_word(at, i);
    }
    for (const auto& [pair, occurrences] : neighbors_) {
      candidates_.push({occurrences.count, pair});
    }
  }

  BytePairs train() {
    const auto wanted = static_cast<std::size_t>(options_.vocab_size);
    while (pairs_.tokens.size() < wanted && !candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      const std::int64_t count = neighbors_[best.pair].count;
      if (count == best.count) {
        merge(best.pair);
      } else if (count > 0) {  // merges since then took some of them
        candidates_.push({count, best.pair});
      }
    }
    return std::move(pairs_);
  }

 private:
  struct Candidate {
    std::int64_t count;
    Pair pair;
  };
  struct Later {
    const std::vector<std::string>& tokens;
    ByteLevelTraining::Ties ties;

    const std::string& bytes(std::int32_t id) const { return tokens[static_cast<std::size_t>(id)]; }
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      if (ties == ByteLevelTraining::Ties::smaller_ids) return a.pair > b.pair;
      const int left = bytes(a.pair.first).compare(bytes(b.pair.first));
      return left != 0 ? left < 0 : bytes(a.pair.second) < bytes(b.pair.second);
    }
  };

  void place_first_tokens() {
    for (const std::string& token : options_.special_tokens) {
      require(token.size() > 1 && known_.emplace(token, 0).second, "train_byte_level",
              "special tokens that differ, of two bytes or more");
      pairs_.tokens.push_back(token);
      pairs_.in_text.push_back(false);
    }
    known_.clear();  // no text becomes one of them: texts are cut there
    for (const char byte : bytes_in_order_of_symbols()) add_token(std::string(1, byte));
    require(options_.vocab_size >= 0 &&
                static_cast<std::size_t>(options_.vocab_size) >= pairs_.tokens.size(),
            "train_byte_level", "a vocab_size for the special tokens and the 256 bytes");
  }

  // The id of the token with these bytes, which may be new.
  std::int32_t add_token(const std::string& bytes) {
    const auto [at, fresh] = known_.emplace(bytes, static_cast<std::int32_t>(pairs_.tokens.size()));
    if (fresh) {
      pairs_.tokens.push_back(bytes);
      pairs_.in_text.push_back(true);
    }
    return at->second;
  }

  // Adds a word's neighbors to the counts (sign 1), or takes them out (sign -1).
  void count_neighbors(std::uint32_t at, std::int64_t sign) {
    const Word& word = words_[at];
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
      neighbors_[{word.ids[i], word.ids[i + 1]}].count += sign * word.count;
    }
  }

  // The word at `at` has the neighbors i and i + 1.
  Pair note_word(std::uint32_t at, std::size_t i) {
    const Pair pair{words_[at].ids[i], words_[at].ids[i + 1]};
    std::vector<std::uint32_t>& words = neighbors_[pair].words;
    if (words.empty() || words.back() != at) words.push_back(at);
    return pair;
  }

  void merge(const Pair& pair) {
    const std::int32_t result = add_token(pairs_.tokens[static_cast<std::size_t>(pair.first)] +
                                          pairs_.tokens[static_cast<std::size_t>(pair.second)]);
    // A token may come about again by another merge, and with it a pair that was merged before.
    if (merged_.insert(pair).second) {
      const auto rank = static_cast<std::int32_t>(pairs_.merges.size());
      pairs_.merges.push_back({pair.first, pair.second, result, rank});
    }
    std::unordered_set<Pair, PairHash> grown;
    for (const std::uint32_t at : std::exchange(neighbors_[pair].words, {})) {
      std::vector<std::int32_t>& ids = words_[at].ids;
      count_neighbors(at, -1);
      std::size_t kept = 0;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const bool both = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
        ids[kept++] = both ? result : ids[i];
        if (both) ++i;
      }
      ids.resize(kept);
      count_neighbors(at, 1);
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        if (ids[i] == result || ids[i + 1] == result) grown.insert(note_word(at, i));
      }
    }
    for (const Pair& next : grown) candidates_.push({neighbors_[next].count, next});
  }

  const ByteLevelTraining& options_;
  BytePairs pairs_;
  std::vector<Word> words_;
  std::unordered_map<std::string, std::int32_t> known_;  // ids of what texts can become
  std::unordered_map<Pair, Occurrences, PairHash> neighbors_;
  std::unordered_set<Pair, PairHash> merged_;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> candidates_;
};

}  // namespace

BytePairs train_byte_level(std::span<const std::string> texts, const ByteLevelTraining& options) {
  return Trainer(texts, options).train();
}

}  // namespace qlora
