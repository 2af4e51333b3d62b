// JSON and what is read from it: the model's config.json, quantization_config, adapter_config.json.
#include <cstdlib>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/peft_adapter.h"
#include "core/error.h"
#include "llama/config.h"

namespace {

template <typename F>
void try_to(F&& read) {
  try {
    read();
  } catch (const qlora::Error&) {
    return;  // refused
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try_to([&] {
    using qlora::Json;
    const Json json = Json::parse({reinterpret_cast<const char*>(data), size}, "input");
    // What is written reads back as it was.
    const std::string text = json.dump();
    if (Json::parse(text, "again").dump() != text) std::abort();
    try_to([&] { qlora::llama_config(json); });
    try_to([&] { qlora::BitsAndBytesConfig::from_json(json, "input"); });
    try_to([&] {
      const qlora::LoraConfig config = qlora::lora_config_from_json(json, "input");
      const std::string once = lora_config_to_json(config).dump(2, true);
      const Json again = Json::parse(once, "again");
      if (lora_config_to_json(qlora::lora_config_from_json(again, "again")).dump(2, true) != once) {
        std::abort();
      }
    });
  });
  return 0;
}
