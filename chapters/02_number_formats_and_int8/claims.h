// What the course says about number formats and 8-bit integers, computed.
#pragma once

#include <string>

#include "course/ledger.h"
#include "llama/config.h"

namespace qlora::chapter02 {

/// The inputs that the course gives.
struct CourseInputs {
  std::string model = "llama-3.2-3b";   ///< of document 001
  std::string larger = "llama-3.1-8b";  ///< of document 002
  double round_parameters = 8e9;        ///< "8 B"
  int full = 32;                        ///< bits of full precision
  int half = 16;                        ///< of half precision
  int byte = 8;                         ///< of int8
  int nibble = 4;                       ///< of int4 and NF4
  double card_gib = 16.0;               ///< memory of a T4
};

/// Parameters of a model's linear layers: what bitsandbytes quantizes.
std::int64_t linear_parameters(const LlamaConfig& config);

/// Bytes of all weights at so many bits each.
double nominal_bytes(const LlamaConfig& config, int bits);

/// Bytes as bitsandbytes loads the model: the linear layers at so many bits, embeddings, norms and
/// head in 16 (what get_memory_footprint counts, so without scales).
double loaded_bytes(const LlamaConfig& config, int bits);

/// Computes a value for each of the chapter's 28 claims.
void fill_claims(Ledger& ledger, const CourseInputs& in = {});

}  // namespace qlora::chapter02
