// Data sets and --ids files: whatever the bytes, the readers return or throw BadInput.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "text/batch.h"
#include "text/chat.h"
#include "text/dataset.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    for (const qlora::Example& row : qlora::parse_dataset(text, "fuzz.jsonl")) {
      if (row.kind == qlora::Example::Kind::messages) qlora::render_llama2_chat(row.messages);
    }
  } catch (const qlora::BadInput&) {
  }
  try {
    qlora::parse_ids(text, 2048, "fuzz.json");
  } catch (const qlora::BadInput&) {
  }
  return 0;
}
