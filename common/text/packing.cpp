#include "text/packing.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>

#include "core/error.h"

namespace qlora {
namespace {

void append(const TokenizedExample& example, TokenizedExample& row) {
  const auto begin = static_cast<std::ptrdiff_t>(row.input_ids.size());
  row.input_ids.insert(row.input_ids.end(), example.input_ids.begin(), example.input_ids.end());
  row.labels.insert(row.labels.end(), example.labels.begin(), example.labels.end());
  row.labels[static_cast<std::size_t>(begin)] = kIgnoredLabel;
  row.position_ids.resize(row.input_ids.size());
  std::iota(row.position_ids.begin() + begin, row.position_ids.end(), 0);
}

}  // namespace

std::vector<std::vector<std::int64_t>> best_fit_decreasing(std::span<const std::int64_t> lengths,
                                                           std::int64_t capacity) {
  const auto length = [&](std::int64_t item) { return lengths[static_cast<std::size_t>(item)]; };
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), length);
  std::vector<std::vector<std::int64_t>> bins;
  std::map<std::int64_t, std::queue<std::size_t>> with_room;  // bins by what still fits in
  for (const std::int64_t item : order) {
    require(length(item) > 0 && length(item) <= capacity, "best_fit_decreasing",
            "lengths in 1 … capacity");
    std::int64_t room = capacity;
    std::size_t bin = bins.size();
    if (const auto best = with_room.lower_bound(length(item)); best != with_room.end()) {
      room = best->first;
      bin = best->second.front();
      best->second.pop();
      if (best->second.empty()) with_room.erase(best);
    } else {
      bins.emplace_back();
    }
    bins[bin].push_back(item);
    if (room > length(item)) with_room[room - length(item)].push(bin);
  }
  return bins;
}

std::vector<TokenizedExample> pack(std::span<const TokenizedExample> examples,
                                   std::int64_t max_length) {
  std::vector<std::int64_t> lengths;
  for (const TokenizedExample& e : examples) {
    require(e.position_ids.empty() && e.labels.size() == e.input_ids.size(), "pack",
            "examples that are not packed yet, with a label for every id");
    lengths.push_back(static_cast<std::int64_t>(e.input_ids.size()));
  }
  std::vector<TokenizedExample> rows;
  for (const auto& bin : best_fit_decreasing(lengths, max_length)) {
    TokenizedExample& row = rows.emplace_back();
    for (const std::int64_t item : bin) append(examples[static_cast<std::size_t>(item)], row);
  }
  return rows;
}

}  // namespace qlora
