// The tokenizer.model of Llama 3: tiktoken's list of tokens and ranks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_level_bpe.h"

namespace qlora {

/// Whether a model file is such a list: its first line is a token in base64, a space and a number.
bool is_tiktoken(std::string_view bytes);

/// The pairs of a list of lines "BASE64 RANK". A rank is an id; two neighbors may merge where
/// their bytes together are a token, and its rank is the merge's (tiktoken, src/lib.rs,
/// byte_pair_merge). A piece that is a token as a whole is that token.
///
/// The file is not trusted: ranks are 0 … n-1, each once, tokens differ and have at most 256 bytes,
/// and each of the 256 bytes is one.
/// @throws BadInput naming `file` and the line
BytePairs parse_tiktoken(std::string_view bytes, const std::string& file);

/// Llama 3's 256 special tokens, which such a file does not name: their ids follow the ranks. The
/// names are those of Llama 3.1 and 3.2 (meta-llama/llama-models, models/llama3/tokenizer.py; with
/// reserved tokens where the text models use none).
std::vector<AddedToken> llama3_special_tokens(std::int32_t first_id);

}  // namespace qlora
