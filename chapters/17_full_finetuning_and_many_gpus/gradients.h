// One optimizer step's gradient, by one process and by several: what must be weighted, and by what.
#pragma once

#include <cstdint>
#include <vector>

namespace qlora::chapter17 {

/// How far the gradient of several processes is from that of one.
struct GradientRow {
  std::int64_t processes = 1;  ///< that take turns with the micro-batches
  double summed = 0;           ///< ‖g − g₁‖ / ‖g₁‖, each scaled by the labels of the whole step
  double mean_of_means = 0;    ///< the same, each scaled by its own labels, then averaged
};

/// A step and its rows.
struct GradientStudy {
  std::vector<std::int64_t> labels;  ///< of each micro-batch
  std::vector<GradientRow> rows;     ///< 1, 2 and 4 processes
};

/// Four micro-batches of the embedded model, of prices and of old text by turns, whose labels
/// differ in number by far; adapters of rank 8 with B drawn at random, for at B = 0 A has no
/// gradient. The processes run one after the other: what is sent is what Processes::sum() adds.
GradientStudy study_gradients();

}  // namespace qlora::chapter17
