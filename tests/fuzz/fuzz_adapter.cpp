// An adapter folder: adapter_config.json, a zero byte, and adapter_model.safetensors.
#include <algorithm>

#include "checkpoint/peft_adapter.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const unsigned char* zero = std::find(data, data + size, '\0');
  const unsigned char* tensors = zero == data + size ? zero : zero + 1;
  const qlora::LinearModules base{{"model.layers.0.self_attn.q_proj", {4, 6}},
                                  {"model.layers.0.self_attn.v_proj", {2, 6}}};
  try {
    const qlora::Json config = qlora::Json::parse(
        {reinterpret_cast<const char*>(data), static_cast<std::size_t>(zero - data)}, "config");
    const auto file =
        qlora::SafetensorsFile::parse({reinterpret_cast<const std::byte*>(tensors),
                                       static_cast<std::size_t>(data + size - tensors)},
                                      "tensors");
    const qlora::PeftAdapter adapter = qlora::parse_adapter(config, "config", file);
    qlora::check_fits(adapter, base);
  } catch (const qlora::Error&) {
    return 0;  // refused
  }
  return 0;
}
