// What the course says about adapters, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <vector>

#include "course/ledger.h"
#include "lora/counting.h"

namespace qlora::chapter13 {

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
  std::int64_t lite_rank = 32;       ///< on q, k, v and o
  std::int64_t small_rank = 16;      ///< on q and v
  std::vector<std::string> lite_modules{"q_proj", "k_proj", "v_proj", "o_proj"};
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter13
