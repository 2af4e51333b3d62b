// What the course says about quantization-aware training, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <vector>

#include "course/ledger.h"
#include "lora/counting.h"

namespace qlora::chapter15 {

/// The course's inputs.
struct CourseInputs {
  /// The linear maps of one layer of Llama 3.2 3B, out of its printed module tree.
  std::vector<LinearShape> layer{{"self_attn.q_proj", 3072, 3072}, {"self_attn.k_proj", 3072, 1024},
                                 {"self_attn.v_proj", 3072, 1024}, {"self_attn.o_proj", 3072, 3072},
                                 {"mlp.gate_proj", 3072, 8192},    {"mlp.up_proj", 3072, 8192},
                                 {"mlp.down_proj", 8192, 3072}};
  std::int64_t layers = 28;          ///< of these
  std::int64_t hidden = 3072;        ///< C
  std::int64_t vocabulary = 128256;  ///< V, of the tied embedding
  std::int64_t rank = 32;            ///< of the price run's adapters
  std::vector<std::string> modules{"q_proj", "k_proj", "v_proj", "o_proj"};  ///< that carry them
};

/// What each way of training holds for that model, in bytes.
struct Cost {
  std::int64_t all = 0;       ///< parameters of the model
  std::int64_t linear = 0;    ///< of them in the linear layers
  std::int64_t adapters = 0;  ///< parameters of LoRA beside them
  double result = 0;          ///< the model in NF4 with double quantization, 16 bits elsewhere
  double qlora = 0;           ///< that, and 16 bytes for each number of the adapters
  double full = 0;            ///< 16 bytes a parameter: value, gradient and two moments in float32
  double qat = 0;             ///< that, and scratch: gate and up as seen, and the gradient of one
};

/// Counted from the shapes.
Cost cost_of(const CourseInputs& inputs);

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter15
