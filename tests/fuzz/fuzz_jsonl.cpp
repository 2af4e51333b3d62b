// Data sets and --ids files: whatever the bytes, the readers return or throw BadInput.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "text/batch.h"
#include "text/chat.h"
#include "text/dataset.h"
#include "text/guanaco.h"

namespace {

using Kind = qlora::ChatTemplate::Kind;

template <typename F>
bool accepted(F&& read) {
  try {
    read();
    return true;
  } catch (const qlora::BadInput&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  accepted([&] {
    for (const qlora::Example& row : qlora::parse_dataset(text, "fuzz.jsonl")) {
      if (row.kind == qlora::Example::Kind::text && qlora::is_guanaco(row.completion)) {
        qlora::guanaco_messages(row.completion);  // refuses some texts
      }
      if (row.kind != qlora::Example::Kind::messages) continue;
      qlora::render_chat({Kind::llama3_1, "26 Jul 2024"}, row.messages);
      qlora::render_chat({Kind::llama2}, row.messages);  // refuses some conversations
    }
  });
  accepted([&] { qlora::parse_ids(text, 2048, "fuzz.json"); });
  return 0;
}
