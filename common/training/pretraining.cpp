#include "training/pretraining.h"

namespace qlora {

LlamaConfig tiny_llama_shape(std::int64_t vocab_size) {
  LlamaConfig c;
  c.hidden_size = 192;
  c.num_hidden_layers = 6;
  c.num_attention_heads = 6;
  c.num_key_value_heads = 2;
  c.head_dim = 32;
  c.intermediate_size = 512;
  c.vocab_size = vocab_size;
  c.max_position_embeddings = 512;
  c.rms_norm_eps = 1e-5;
  c.rope_theta = 10000.0;
  // Llama 3.2's scaling at a size that shows: four times the 128 tokens of a training block.
  c.rope_scaling = {"llama3", 4.0, 1.0, 4.0, 128};
  c.tie_word_embeddings = true;
  return c;
}

LlamaConfig tiny_llama_config(const Tokenizer& tokenizer) {
  LlamaConfig c = tiny_llama_shape(tokenizer.vocab_size());
  c.bos_token_id = tokenizer.bos_id().value_or(-1);
  if (const auto eos = tokenizer.eos_id()) c.eos_token_ids = {*eos};
  return c;
}

std::vector<TokenizedExample> blocks_of(std::span<const std::string> documents,
                                        const Tokenizer& tokenizer, std::int64_t length) {
  EncodeOptions options;
  options.add_eos = true;
  std::vector<TokenizedExample> blocks;
  TokenizedExample block;
  for (const auto& ids : tokenizer.encode_batch(documents, options)) {
    for (std::int32_t id : ids) {
      block.input_ids.push_back(id);
      if (static_cast<std::int64_t>(block.input_ids.size()) < length) continue;
      block.labels = block.input_ids;
      blocks.push_back(std::move(block));
      block = {};
    }
  }
  return blocks;
}

}  // namespace qlora
