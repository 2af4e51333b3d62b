#include "training/evaluation_loss.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "llama/decoder.h"
#include "text/batch.h"
#include "training/step_share.h"

namespace qlora {

double evaluation_loss(const LlamaModel& model, std::span<const TokenizedExample> examples,
                       std::int64_t batch_size, std::int32_t pad_id, Arena& arena,
                       Processes* processes) {
  // Rows of like length together: less padding. The sum does not care about the order of batches.
  std::vector<std::int64_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return examples[static_cast<std::size_t>(a)].input_ids.size() <
           examples[static_cast<std::size_t>(b)].input_ids.size();
  });
  const Tensor sums = Tensor::zeros(DType::f64, {2});  // of losses, and of what they are means over
  double &sum = sums.data<double>()[0], &supervised = sums.data<double>()[1];
  const auto n = static_cast<std::int64_t>(order.size());
  const std::int64_t batches = (n + batch_size - 1) / batch_size;
  const std::int64_t rank = processes != nullptr ? processes->rank() : 0;
  for (const std::int64_t b :
       turns_of(batches, rank, processes != nullptr ? processes->size() : 1)) {
    const std::int64_t first = b * batch_size;
    const std::span<const std::int64_t> rows(
        order.data() + first, static_cast<std::size_t>(std::min(batch_size, n - first)));
    const Batch batch = collate(examples, rows, pad_id);
    sum += loss_forward(model, batch, arena);
    supervised += static_cast<double>(batch.supervised);
  }
  if (processes != nullptr) processes->sum(std::span(&sums, 1));
  require(supervised > 0, "evaluation_loss", "at least one supervised token");
  return sum / supervised;
}

}  // namespace qlora
