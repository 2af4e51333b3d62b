// What chapter 10 measures on the embedded model.
#pragma once

#include <string>
#include <vector>

#include "llama/activation_policy.h"
#include "training/arguments.h"

namespace qlora::chapter10 {

/// How a batch in parts is made one gradient.
struct AccumulationRow {
  std::string name;       ///< the way
  double loss = 0;        ///< as it would be logged
  double difference = 0;  ///< of the gradient from the whole batch's, relative to its length
};

/// Four rows of unlike length: at once, as four micro-batches that are divided by all of their
/// labels, and as the mean of four means.
std::vector<AccumulationRow> accumulation();

/// What a policy costs on one batch.
struct PolicyRow {
  ActivationPolicy policy;  ///< the one it is of
  std::size_t peak = 0;     ///< bytes of activations
  double seconds = 0;       ///< of a forward and backward pass, the less of two
  bool same_bits = false;   ///< whether every gradient has the bits of `keep`
};

/// Every policy that the CPU has, on 16 packed rows of 64 tokens.
std::vector<PolicyRow> policies();

/// A short run.
struct OptimizerRun {
  std::string name;            ///< as --optim takes it
  std::int64_t bytes = 0;      ///< of the moments
  std::vector<double> losses;  ///< of its steps
};

/// The first steps of a fine-tuning run with each kind of moments.
std::vector<OptimizerRun> optimizers();

/// Dropout on the input of A as a training pass does it.
struct DropoutRow {
  double dropped = 0;  ///< the share of the input
  double factor = 0;   ///< of what is kept
  double mean = 0;     ///< of the input behind it, which was 1 everywhere
};

DropoutRow dropout(double p);

}  // namespace qlora::chapter10
