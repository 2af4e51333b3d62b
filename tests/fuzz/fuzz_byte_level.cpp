// tokenizer.json and tiktoken files: what from_bytes() lets through encodes and decodes any text.
// An input may begin with "#WORDS\n", a text to encode; the file follows.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string text = "hello 2 kettles, $129.\n\xF0\x9F\x98\x80 <|eot_id|> ";
  if (bytes.starts_with('#')) {
    const std::size_t line = std::min(bytes.find('\n'), bytes.size());
    text = bytes.substr(1, line);
    bytes.remove_prefix(std::min(line + 1, bytes.size()));
  }
  try {
    const auto tokenizer = qlora::Tokenizer::from_bytes(bytes, "fuzz");
    text += bytes.substr(0, 500);
    for (const bool split : {false, true}) {
      const auto ids =
          tokenizer.encode(text, {.add_bos = true, .add_eos = true, .split_special_tokens = split});
      const std::string whole = tokenizer.decode(ids, false);
      qlora::DecodeStream stream(tokenizer, false);
      std::string joined;
      for (const std::int32_t id : ids) joined += stream.push(id);
      if (joined + stream.finish() != whole) std::abort();
    }
    std::vector<std::int32_t> all;
    for (std::int32_t id = 0; id < std::min(tokenizer.vocab_size(), 3000); ++id) all.push_back(id);
    tokenizer.decode(all);
  } catch (const qlora::BadInput&) {
    return 0;
  }
  return 0;
}
