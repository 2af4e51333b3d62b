// Whatever a safetensors file holds: every tensor is read to its last byte, and restored where it
// is stored in 4 bits.
#include <cstdlib>

#include "checkpoint/bitsandbytes.h"
#include "core/error.h"

namespace {

void read_all(const qlora::TensorFiles& files) {
  unsigned sum = 0;
  for (const std::string& name : files.names()) {
    const qlora::Tensor t = files.tensor(name);
    const auto* bytes = static_cast<const unsigned char*>(t.raw());
    for (std::size_t i = 0; i < t.nbytes(); ++i) sum += bytes[i];
    if (qlora::is_stored_in_4bit(files, name)) dequantize_4bit(qlora::read_4bit(files, name));
  }
  if (sum == ~0u) std::abort();  // the sum must not be optimized away
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    read_all(
        qlora::SafetensorsFile::parse({reinterpret_cast<const std::byte*>(data), size}, "input"));
  } catch (const qlora::Error&) {
    return 0;  // refused
  }
  return 0;
}
