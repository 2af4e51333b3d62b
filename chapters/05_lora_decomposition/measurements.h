// What the lesson prints and its figures draw, measured once for each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regression.h"

namespace qlora::chapter05 {

/// A matrix by its singular values.
struct Spectrum {
  std::string name;       ///< what matrix it is
  std::vector<double> s;  ///< its singular values, descending

  /// ‖W − W_R‖ / ‖W‖ of the nearest matrix of rank R.
  double relative_error(std::int64_t R) const;
};

/// Three matrices of 192x192: normal random numbers, a product of rank 8 with a tenth of its size
/// in noise, and q_proj of layer 1 of the embedded model.
std::vector<Spectrum> spectra(const std::string& model_folder);

/// Adapters of these ranks, alpha = 2r, each trained on its own.
struct RankRun {
  std::int64_t R = 0;           ///< rank
  std::int64_t parameters = 0;  ///< R (K + N)
  double best = 0.0;            ///< loss that no change of this rank goes below
  Outcome outcome;              ///< of the training
};
std::vector<RankRun> rank_sweep(const Regression& regression);

/// Adapters of rank 8 that differ in alpha alone.
struct AlphaRun {
  double alpha = 0.0;    ///< lora_alpha
  double scaling = 0.0;  ///< alpha / 8
  double loss = 0.0;     ///< after training; not finite: it diverged
};
inline constexpr std::int64_t kAlphaSweepRank = 8;
std::vector<AlphaRun> alpha_sweep(const Regression& regression);

}  // namespace qlora::chapter05
