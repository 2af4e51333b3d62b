// Pre-training text as blocks of equal length, and the shape of the embedded model.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "llama/config.h"
#include "text/examples.h"

namespace qlora {

/// The shape of the embedded model: a Llama 3.2 in small. 2,755,008 parameters at a vocabulary of
/// 2,048.
LlamaConfig tiny_llama_shape(std::int64_t vocab_size);

/// The same with a tokenizer's vocabulary, BOS and EOS.
LlamaConfig tiny_llama_config(const Tokenizer& tokenizer);

/// Documents one after the other, each between BOS and EOS, cut into blocks of `length` tokens of
/// which every one is supervised; what is left at the end is dropped.
std::vector<TokenizedExample> blocks_of(std::span<const std::string> documents,
                                        const Tokenizer& tokenizer, std::int64_t length);

}  // namespace qlora
