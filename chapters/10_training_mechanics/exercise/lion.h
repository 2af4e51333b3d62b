// Task 4: another optimizer. Nothing like it is in the tree.
#pragma once

#include <cstdint>

namespace qlora {

/// Settings of Lion; the defaults are the paper's.
struct LionSettings {
  double lr = 1e-4;           ///< of every step
  double beta1 = 0.9;         ///< of the mixture whose sign is taken
  double beta2 = 0.99;        ///< of the mean that is kept
  double weight_decay = 0.0;  ///< decoupled: times lr, with the sign
};

/// `steps` steps of Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms",
/// algorithm 2) on n parameters. In each step, with its gradient g and the mean m of the steps
/// before:
///   p ← p − lr · ( sign(β1 m + (1−β1) g) + wd · p ),   then   m ← β2 m + (1−β2) g.
/// The sign of 0 is 0. There is no second moment, and no bias correction.
///
/// @param gradients  (steps, n), a row for each step
/// @param p          (n), changed
/// @param m          (n), the mean where the steps begin, 0 in a fresh run; changed
void lion(const LionSettings& settings, std::int64_t steps, std::int64_t n, const double* gradients,
          double* p, double* m);

}  // namespace qlora
