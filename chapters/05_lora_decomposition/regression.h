// A small real regression for LoRA to learn: one layer of the embedded model doing another's work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qlora::chapter05 {

/// Inputs x (T,K), a frozen weight W (N,K), and the outputs y* = x · W*ᵀ of the weight to imitate.
/// W and W* are q_proj of two layers of the embedded model; x are its token embeddings, scaled to a
/// mean square of one as RMSNorm does. Other tokens are held out.
struct Regression {
  /// Tokens to learn from, tokens held out, in-features, out-features.
  std::int64_t T = 0, held_out = 0, K = 0, N = 0;

  std::vector<float> x;       ///< (T + held_out, K)
  std::vector<float> W;       ///< (N,K), frozen
  std::vector<float> target;  ///< (T + held_out, N)
};

/// Reads the embedded model's folder. @throws BadInput
Regression layer_regression(const std::string& model_folder);

/// How an adapter is trained: gradient descent with momentum 0.9.
struct Descent {
  std::int64_t R = 8;          ///< rank
  double lora_alpha = 16.0;    ///< scaled by 1/R
  double learning_rate = 0.5;  ///< of the loss, which is one at the start
  int steps = 300;             ///< over all T tokens at once
};

/// What happened. A loss is Σ(y − y*)² over its value without an adapter: 1 at the start.
struct Outcome {
  double loss = 0.0;      ///< after the last step
  double held_out = 0.0;  ///< on the tokens that were held out
  double merged = 0.0;    ///< largest difference of an output, merged or not, over the largest
  double restored = 0.0;  ///< largest difference of W after merging and unmerging
  /// Norms of the gradients of each step.
  std::vector<double> norm_dA, norm_dB;
};

/// Trains one adapter beside W.
Outcome train_adapter(const Regression& regression, const Descent& descent);

/// Singular values of x · (W* − W)ᵀ over the T tokens: their squares beyond R are what rank R
/// leaves.
std::vector<double> wanted_change(const Regression& regression);

}  // namespace qlora::chapter05
