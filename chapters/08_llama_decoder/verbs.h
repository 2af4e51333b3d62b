// logits, generate and inspect.
#pragma once

#include <string>

#include "llama/generation.h"
#include "support/model_options.h"

namespace qlora {

struct LogitsOptions {
  ModelOptions model;
  std::string ids, output, json;
  std::string dtype = "float32";
  bool hidden_states = false;
};

struct GenerateOptions {
  ModelOptions model;
  std::string prompt, json;
  std::int64_t max_new_tokens = 64;
  Sampling sampling;
  std::int64_t seed = 0;
};

struct InspectOptions {
  ModelOptions model;
  std::string json;
};

/// Writes logits (B,T,V) F32, with labels the loss, and hidden_states.K where asked for.
void run_logits(const LogitsOptions& o);

/// Prints the continuation of a prompt as it comes.
void run_generate(const GenerateOptions& o);

/// Prints shape, modules, parameters and storage of a model folder.
void run_inspect(const InspectOptions& o);

}  // namespace qlora
