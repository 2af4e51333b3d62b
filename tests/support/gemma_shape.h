// A small Gemma: heads of 256, whose rows are wider than the residual stream, its norms, its gate
// and its scaled embedding.
#pragma once

#include <cmath>

#include "llama/config.h"

namespace qlora::testing {

inline LlamaConfig gemma_shape() {
  LlamaConfig c;
  c.model_type = "gemma";
  c.activation = GateActivation::gelu_tanh;
  c.norm_offset = 1.0;
  c.embedding_scale = std::sqrt(192.0);
  c.hidden_size = 192;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 2;
  c.num_key_value_heads = 1;
  c.head_dim = 256;
  c.intermediate_size = 512;
  c.vocab_size = 512;
  c.tie_word_embeddings = true;
  return c;
}

}  // namespace qlora::testing
