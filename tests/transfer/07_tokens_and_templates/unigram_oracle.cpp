// A unigram tokenizer by trying every segmentation.
#include "unigram.h"

#include <cmath>

#include "all_segmentations.h"

namespace qlora {
namespace {

using segmentations::Chosen;
using Visit = std::function<void(const std::vector<Chosen>&)>;

void visit(const UnigramVocabulary& v, std::string_view text, const Visit& each) {
  const double unknown = *std::min_element(v.scores.begin(), v.scores.end()) - kUnknownPenalty;
  std::vector<Chosen> begun;
  segmentations::visit_all(v.pieces, v.scores, unknown, text, begun, each);
}

// Whether a wins where the sums are equal.
bool wins_tie(const std::vector<Chosen>& a, const std::vector<Chosen>& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].length != b[i].length) return a[i].length > b[i].length;
  }
  return false;
}

}  // namespace

std::vector<std::int32_t> unigram_encode(const UnigramVocabulary& v, std::string_view text) {
  std::vector<Chosen> best;
  bool found = false;
  visit(v, text, [&](const std::vector<Chosen>& one) {
    const double sum = segmentations::sum_of(one), most = segmentations::sum_of(best);
    if (!found || sum > most || (sum == most && wins_tie(one, best))) best = one;
    found = true;
  });
  std::vector<std::int32_t> ids;
  ids.reserve(best.size());
  for (const Chosen& piece : best) ids.push_back(piece.id);
  return ids;
}

double unigram_log_likelihood(const UnigramVocabulary& v, std::string_view text) {
  std::vector<double> sums;
  visit(v, text,
        [&](const std::vector<Chosen>& one) { sums.push_back(segmentations::sum_of(one)); });
  const double most = *std::max_element(sums.begin(), sums.end());
  double total = 0.0;
  for (const double sum : sums) total += std::exp(sum - most);
  return most + std::log(total);
}

}  // namespace qlora
