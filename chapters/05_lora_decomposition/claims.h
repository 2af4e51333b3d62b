// What the course says about LoRA's two matrices, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <vector>

#include "course/ledger.h"
#include "lora/counting.h"

namespace qlora::chapter05 {

/// The course's inputs.
struct CourseInputs {
  std::int64_t change_side = 3;  ///< rows and columns of the change matrix of the first example
  std::int64_t change_rank = 1;  ///< of its two factors

  /// The layer of the worked example: in- and out-features, rank.
  std::int64_t example_in = 4096, example_out = 4096, example_rank = 16;

  std::int64_t alpha_rank = 32;   ///< "alpha = 2r": of the rank 32
  double alpha_factor = 2.0;      ///< the 2 in it
  double llama2_alpha = 16.0;     ///< the other setting of the course, with
  std::int64_t llama2_rank = 64;  ///< this rank
  std::vector<std::int64_t> typical_ranks{8, 16, 32, 64};  ///< as the course lists them
  std::int64_t odd_rank = 11;                              ///< "not a power of two"
  std::int64_t module_rank = 16;                           ///< of the target modules in general
  std::int64_t product_side = 64;  ///< a smaller stand-in for 4096, whose rank is measured
  std::int64_t product_rank = 4;   ///< likewise for 16

  /// The linear maps of one layer of Llama 3.2 3B, out of its printed module tree.
  std::vector<LinearShape> layer{{"self_attn.q_proj", 3072, 3072}, {"self_attn.k_proj", 3072, 1024},
                                 {"self_attn.v_proj", 3072, 1024}, {"self_attn.o_proj", 3072, 3072},
                                 {"mlp.gate_proj", 3072, 8192},    {"mlp.up_proj", 3072, 8192},
                                 {"mlp.down_proj", 8192, 3072}};
  std::int64_t layers = 28;          ///< of these
  std::int64_t hidden = 3072;        ///< C
  std::int64_t vocabulary = 128256;  ///< V, of the tied embedding
  std::int64_t heads = 24;           ///< of attention, all in one q_proj

  std::int64_t bytes_of_training = 16;  ///< a trained parameter, its gradient, two moments: float32
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter05
