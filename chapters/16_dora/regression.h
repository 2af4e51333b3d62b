// LoRA and DoRA at equal rank: one linear layer learns another's work.
#pragma once

#include <cstdint>
#include <vector>

namespace qlora::chapter16 {

/// What the other layer differs in from the frozen one.
enum class Change {
  magnitude,  ///< lengths of its rows alone
  direction,  ///< an update of low rank
  both,       ///< both
};

/// A run of one method at one rank.
struct Run {
  bool dora = false;            ///< else LoRA
  std::int64_t R = 0;           ///< rank
  std::int64_t parameters = 0;  ///< trained
  std::vector<double> loss;     ///< before each step, and at the end: 1 without an adapter
  /// How much the lengths of the rows changed, and 1 − the cosine of their angle: means over rows.
  double magnitude_change = 0, direction_change = 0;
};

/// Trains on 128 random inputs of 48 numbers with Adam; the same start and data for both methods.
Run train(Change change, bool dora, std::int64_t R);

/// s · B · A at one α for ranks of R: the size of the update at the start of training, relative to
/// that of rank 1, under α / r and under α / √r.
struct Stability {
  std::int64_t R = 0;  ///< rank
  double lora = 0;     ///< root mean square of s·B·A·x, relative to R = 1
  double rslora = 0;   ///< likewise
};
std::vector<Stability> stability();

}  // namespace qlora::chapter16
