// logits, generate and inspect.
#pragma once

#include <string>

#include "llama/generation.h"
#include "support/model_options.h"

namespace qlora {

/// The command line of `logits`.
struct LogitsOptions {
  ModelOptions model;  ///< with its adapters
  std::string ids;     ///< JSON with input_ids, and perhaps attention_mask, position_ids and labels
  std::string output;  ///< a safetensors file
  std::string json;    ///< where the summary goes
  bool hidden_states = false;  ///< write those of every layer too
};

/// The command line of `generate`.
struct GenerateOptions {
  ModelOptions model;                ///< with its adapters
  std::string prompt;                ///< tokenized with BOS; not beside chat
  bool chat = false;                 ///< a conversation, line by line from standard input
  std::string system;                ///< its system message; empty: none
  std::string json;                  ///< where ids and text go
  std::int64_t max_new_tokens = 64;  ///< fewer where an EOS comes
  Sampling sampling;                 ///< its seed is the next member
  std::int64_t seed = 0;             ///< of sampling
};

/// The command line of `inspect`.
struct InspectOptions {
  ModelOptions model;  ///< with its adapters
  std::string json;    ///< where the figures go
};

/// Writes logits (B,T,V) F32, with labels the loss, and hidden_states.K where asked for.
void run_logits(const LogitsOptions& o);

/// Prints the continuation of a prompt, or in a conversation each answer, as it comes.
/// @throws UsageError without a prompt or a conversation, or with both
void run_generate(const GenerateOptions& o);

/// Prints the module tree of a model as transformers and PEFT do, its heads and its parameters:
/// from config.json, and the adapter_config.json of each adapter. No weights are read.
void run_inspect(const InspectOptions& o);

}  // namespace qlora
