// The experiments of chapter 15.
#pragma once

#include "course/experiment.h"
#include "support/price_job.h"

namespace qlora::chapter15 {

/// Chapter 1's network in 8, 4, 3 and 2 bits: PTQ against QAT.
Experiment network_experiment();

/// The embedded model with all weights trained on the price items: in float32, its linear layers
/// quantized afterwards, or in every forward pass of as many steps on the same items.
Experiment decoder_experiment(const PriceRun& run);

}  // namespace qlora::chapter15
