// Training a SentencePiece vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace qlora {

/// What can be chosen; the trainer's other options are fixed.
struct SentencePieceOptions {
  std::int32_t vocab_size = 2048;       ///< all pieces, the 259 special ones among them
  double character_coverage = 0.9995;   ///< share of the characters that get a piece of their own
  std::int32_t max_line_bytes = 16384;  ///< longer lines are left out by the trainer
};

/// Trains a BPE vocabulary in the manner of Llama 2's: byte fallback, each digit a token, no
/// normalization, a dummy prefix, white space kept; "<unk>" 0, "<s>" 1, "</s>" 2, then the 256
/// bytes.
/// Equal texts and options give equal bytes.
/// @param texts  the library learns from their lines, so a line end never is part of a piece; it is
///               encoded as the byte "<0x0A>"
/// @return the bytes of a tokenizer.model
/// @throws BadInput with the library's reason, e.g. if the text is too small for vocab_size
std::string train_sentencepiece(std::span<const std::string> texts,
                                const SentencePieceOptions& options = {});

}  // namespace qlora
