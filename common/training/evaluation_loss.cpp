#include "training/evaluation_loss.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "llama/decoder.h"
#include "ops/device_memory.h"
#include "ops/ops.h"
#include "text/batch.h"
#include "training/step_share.h"

namespace qlora {
namespace {

// Rows of like length together: less padding. A sum does not care about the order of batches.
std::vector<std::int64_t> by_length(std::span<const TokenizedExample> examples) {
  std::vector<std::int64_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return examples[static_cast<std::size_t>(a)].input_ids.size() <
           examples[static_cast<std::size_t>(b)].input_ids.size();
  });
  return order;
}

// At most batch_size rows of the order, from its row i on.
std::span<const std::int64_t> rows_from(const std::vector<std::int64_t>& order, std::int64_t i,
                                        std::int64_t batch_size) {
  const std::int64_t left = static_cast<std::int64_t>(order.size()) - i;
  return {order.data() + i, static_cast<std::size_t>(std::min(batch_size, left))};
}

}  // namespace

double evaluation_loss(const LlamaModel& model, std::span<const TokenizedExample> examples,
                       std::int64_t batch_size, std::int32_t pad_id, Arena& arena,
                       Processes* processes) {
  const std::vector<std::int64_t> order = by_length(examples);
  const Tensor sums = Tensor::zeros(DType::f64, {2});  // of losses, and of what they are means over
  double &sum = sums.data<double>()[0], &supervised = sums.data<double>()[1];
  const auto n = static_cast<std::int64_t>(order.size());
  const std::int64_t own = processes != nullptr ? processes->rank() : 0;
  const std::int64_t all = processes != nullptr ? processes->size() : 1;
  for (const std::int64_t b : turns_of((n + batch_size - 1) / batch_size, own, all)) {
    const Batch batch = collate(examples, rows_from(order, b * batch_size, batch_size), pad_id);
    sum += loss_forward(model, batch, arena);
    supervised += static_cast<double>(batch.supervised);
  }
  if (processes != nullptr) processes->sum(std::span(&sums, 1));
  require(supervised > 0, "evaluation_loss", "at least one supervised token");
  return sum / supervised;
}

std::vector<RowLoss> row_losses(const LlamaModel& model, std::span<const TokenizedExample> examples,
                                std::int64_t batch_size, std::int32_t pad_id, Arena& arena,
                                const std::function<void(std::int64_t)>& on_progress) {
  const std::vector<std::int64_t> order = by_length(examples);
  std::vector<RowLoss> losses(examples.size());
  const auto n = static_cast<std::int64_t>(order.size());
  for (std::int64_t i = 0; i < n; i += batch_size) {
    const auto rows = rows_from(order, i, batch_size);
    const Batch batch = collate(examples, rows, pad_id);
    const std::int64_t T = batch.input_ids.dim(1);
    const Tensor positions = ops::empty_on(model.device(), ops::statistics_of(model.arithmetic()),
                                           {batch.input_ids.numel()});
    loss_forward(model, batch, arena, positions);
    const Tensor wide = ops::host_copy(positions).to(DType::f64);
    for (std::size_t b = 0; b < rows.size(); ++b) {
      RowLoss& row = losses[static_cast<std::size_t>(rows[b])];
      const double* of_row = wide.data<double>() + static_cast<std::int64_t>(b) * T;
      row.sum = std::accumulate(of_row, of_row + T, 0.0);
      row.tokens = supervised_labels(examples[static_cast<std::size_t>(rows[b])]);
    }
    if (on_progress) on_progress(i + static_cast<std::int64_t>(rows.size()));
  }
  return losses;
}

}  // namespace qlora
