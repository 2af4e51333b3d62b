#include "llama/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/random.h"

namespace qlora {
namespace {

// Ids from the most likely on, ties by the lower id: sorted as far as somebody looks, which is a
// few of a hundred thousand.
class ByLikelihood {
 public:
  explicit ByLikelihood(std::span<const float> logits) : logits_(logits), ids_(logits.size()) {
    std::iota(ids_.begin(), ids_.end(), 0);
  }
  std::int32_t operator[](std::size_t i) {
    if (i >= sorted_) sort_beyond(i);
    return ids_[i];
  }

 private:
  void sort_beyond(std::size_t i) {
    const std::size_t end = std::min(ids_.size(), std::max<std::size_t>(64, 4 * i));
    const auto at = [&](std::size_t n) { return ids_.begin() + static_cast<std::ptrdiff_t>(n); };
    std::partial_sort(at(sorted_), at(end), ids_.end(), [&](std::int32_t a, std::int32_t b) {
      const float x = logits_[static_cast<std::size_t>(a)],
                  y = logits_[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    });
    sorted_ = end;
  }

  std::span<const float> logits_;
  std::vector<std::int32_t> ids_;
  std::size_t sorted_ = 0;
};

}  // namespace

std::int32_t sample(std::span<const float> logits, const Sampling& sampling, std::uint64_t index) {
  const auto most_likely = std::max_element(logits.begin(), logits.end());
  if (sampling.temperature <= 0) return static_cast<std::int32_t>(most_likely - logits.begin());
  const bool truncates = sampling.top_k > 0 || sampling.top_p < 1;
  std::size_t count = logits.size();
  if (sampling.top_k > 0) count = std::min(count, static_cast<std::size_t>(sampling.top_k));
  std::vector<double> masses(logits.size());
  double kept = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    masses[i] = std::exp((static_cast<double>(logits[i]) - *most_likely) / sampling.temperature);
    kept += masses[i];
  }
  ByLikelihood ids(logits);
  const auto mass_of = [&](std::size_t i) { return masses[static_cast<std::size_t>(ids[i])]; };
  if (count < logits.size()) {
    kept = 0;
    for (std::size_t i = 0; i < count; ++i) kept += mass_of(i);
  }
  if (sampling.top_p < 1) {
    const std::size_t most = count;
    const double wanted = sampling.top_p * kept;
    kept = 0;
    for (count = 0; count < most && (count == 0 || kept <= wanted);) kept += mass_of(count++);
  }
  const Random random{sampling.seed, stream_of(0x73616d70)};
  double left = static_cast<double>(random.uniform(index)) * kept;
  for (std::size_t i = 0; i < count; ++i) {  // any order does where all are kept
    const auto id = truncates ? ids[i] : static_cast<std::int32_t>(i);
    left -= masses[static_cast<std::size_t>(id)];
    if (left < 0) return id;
  }
  return ids[count - 1];
}

}  // namespace qlora
