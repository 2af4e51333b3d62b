// The slow oracle of the unigram tokenizer: every segmentation of a text, one after the other.
// Their number doubles with each byte.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qlora::segmentations {

/// A piece in a segmentation: which one (-1: unknown), its bytes, its score.
struct Chosen {
  int id;
  std::size_t length;
  double score;
};

/// Calls `visit` with each segmentation of the text.
inline void visit_all(const std::vector<std::string>& pieces, const std::vector<double>& scores,
                      double unknown_score, std::string_view text, std::vector<Chosen>& begun,
                      const std::function<void(const std::vector<Chosen>&)>& visit) {
  if (text.empty()) {
    visit(begun);
    return;
  }
  bool has_byte = false;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (!text.starts_with(pieces[id])) continue;
    has_byte = has_byte || pieces[id].size() == 1;
    begun.push_back({static_cast<int>(id), pieces[id].size(), scores[id]});
    visit_all(pieces, scores, unknown_score, text.substr(pieces[id].size()), begun, visit);
    begun.pop_back();
  }
  if (has_byte) return;
  begun.push_back({-1, 1, unknown_score});
  visit_all(pieces, scores, unknown_score, text.substr(1), begun, visit);
  begun.pop_back();
}

inline double sum_of(const std::vector<Chosen>& segmentation) {
  double sum = 0.0;
  for (const Chosen& piece : segmentation) sum += piece.score;
  return sum;
}

}  // namespace qlora::segmentations
