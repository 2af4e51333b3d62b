// What the course says about training, and what its own inputs come to.
#pragma once

#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "course/ledger.h"
#include "lora/counting.h"
#include "training/arguments.h"

namespace qlora::chapter10 {

/// The course's inputs.
struct CourseInputs {
  /// The example of a warm-up and its schedule.
  std::int64_t max_steps = 170;
  double warmup_ratio = 0.1;
  double learning_rate = 2e-4;
  LrScheduler scheduler = LrScheduler::cosine;

  /// Learning rates on f = x²/2: one that converges, one that does not.
  double stable_rate = 1.9, unstable_rate = 2.1;

  /// What the course trains on: samples, epochs, rows of a micro-batch, micro-batches of a step.
  std::int64_t samples = 20000;
  std::int64_t batch_size = 4, accumulation = 4;

  /// The two formats of one configuration: fp16=True, and bnb_4bit_compute_dtype.
  DType autocast = DType::f16, compute = DType::bf16;

  double dropout = 0.05;  ///< lora_dropout

  /// Llama 3.2 3B, and the lite adapters on its attention.
  std::vector<LinearShape> layer{{"self_attn.q_proj", 3072, 3072}, {"self_attn.k_proj", 3072, 1024},
                                 {"self_attn.v_proj", 3072, 1024}, {"self_attn.o_proj", 3072, 3072},
                                 {"mlp.gate_proj", 3072, 8192},    {"mlp.up_proj", 3072, 8192},
                                 {"mlp.down_proj", 8192, 3072}};
  std::int64_t layers = 28;          ///< of these
  std::int64_t hidden = 3072;        ///< C
  std::int64_t vocabulary = 128256;  ///< V, of the tied embedding
  std::int64_t rank = 32;            ///< of the lite adapters
};

/// Computes a value for every claim of the chapter.
void fill_claims(Ledger& ledger, const CourseInputs& inputs = {});

}  // namespace qlora::chapter10
