// Model files of SentencePiece: what from_bytes() lets through, the library must be able to use.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = qlora::Tokenizer::from_bytes(bytes, "fuzz.model");
    // A text that any vocabulary meets, and the file itself as a text that is not UTF-8.
    const std::string text = "The price of 2 kettles is $129.\n\xF0\x9F\x98\x80 " +
                             std::string(bytes.substr(0, std::min<std::size_t>(size, 500)));
    const auto ids = tokenizer.encode(text, {.add_bos = true, .add_eos = true});
    tokenizer.decode(ids);
    std::vector<std::int32_t> all;
    for (std::int32_t id = 0; id < std::min(tokenizer.vocab_size(), 3000); ++id) all.push_back(id);
    tokenizer.decode(all, false);
  } catch (const qlora::BadInput&) {
    return 0;
  }
  return 0;
}
