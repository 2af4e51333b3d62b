// The vocabulary of the embedded model, for the suites of this folder.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace qlora::testing {

inline const std::string kTinyLlama = QLORA_SOURCE_DIR "/data/tiny-llama";

inline const Tokenizer& embedded_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::load(kTinyLlama);
  return tokenizer;
}

}  // namespace qlora::testing
