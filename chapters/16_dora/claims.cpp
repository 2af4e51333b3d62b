#include "claims.h"

#include <numeric>

namespace qlora::chapter16 {

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  // One magnitude an output row of every adapted weight.
  const std::int64_t rows = std::accumulate(in.rows.begin(), in.rows.end(), std::int64_t{0});
  ledger.number("DO-01", static_cast<double>(in.layers * rows));
  ledger.not_checkable(
      "DO-02",
      "Which does better on a real model and task takes runs of both; the lesson's planted changes "
      "of one layer do not say which of them fine-tuning resembles.",
      "./course run 12 train --model DIR --data FILE --r 32 --lora-alpha 64 --seed S --output-dir "
      "ADAPTER with and without --use-dora, for at least three S, and ./course run 14 evaluate "
      "--model DIR --quantize nf4 "
      "--double-quant --adapter ADAPTER --data HELD_OUT --report REPORT of each");
}

}  // namespace qlora::chapter16
