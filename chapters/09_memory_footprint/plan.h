// plan: the memory of a training run and the floor of its step, before anything is allocated.
#pragma once

#include <string>
#include <vector>

#include "support/model_options.h"
#include "support/training_options.h"

namespace qlora::chapter09 {

/// The command line of `plan`: that of `train`, and what the floor is made with.
struct PlanOptions {
  ModelOptions model;        ///< config.json of the folder is enough
  TrainingOptions training;  ///< what decides the batch, the adapters and the policy
  std::string card;          ///< a GPU that has been measured; empty: the one that is there
  /// Of the device: TFLOP/s of products, of attention forward and backward, TB/s of a copy.
  std::vector<double> rates;
  std::string json;  ///< where the plan goes
};

/// Declares the verb's options.
void add_plan_options(Options& verb, PlanOptions& o);

/// Prints the memory part by part, the floor part by part, and which policies fit with which batch.
/// @throws UsageError, BadInput; MachineLacks where --max-memory is given and too little, once all
/// is printed
void run_plan(PlanOptions& o);

}  // namespace qlora::chapter09
