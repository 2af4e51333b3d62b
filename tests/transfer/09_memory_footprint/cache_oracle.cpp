// The cache by walking over its tokens: every layer, row and token that is still held is visited.
#include "cache.h"

namespace qlora {
namespace {

bool is_global(const CacheShape& s, std::int64_t layer) {
  return s.window == 0 || layer % s.global_every == s.global_every - 1;
}

// Whether a layer still holds token t of a row of so many.
bool holds(const CacheShape& s, std::int64_t layer, std::int64_t t, std::int64_t length) {
  return is_global(s, layer) || t >= length - s.window;
}

// A key and a value.
std::int64_t bytes_of_token(const CacheShape& s) {
  std::int64_t bytes = 0;
  for (std::int64_t head = 0; head < s.kv_heads; ++head) {
    for (std::int64_t d = 0; d < s.head_dim; ++d) bytes += 2 * s.element_bytes;
  }
  return bytes;
}

}  // namespace

std::int64_t cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths) {
  const std::int64_t token = bytes_of_token(shape);
  std::int64_t bytes = 0;
  for (const std::int64_t length : lengths) {
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      for (std::int64_t t = 0; t < length; ++t) bytes += holds(shape, layer, t, length) ? token : 0;
    }
  }
  return bytes;
}

std::int64_t paged_cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths,
                               std::int64_t page) {
  const std::int64_t token = bytes_of_token(shape);
  std::int64_t bytes = 0;
  for (const std::int64_t length : lengths) {
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      std::int64_t room = 0;  // in the page that has begun
      for (std::int64_t t = 0; t < length; ++t) {
        if (!holds(shape, layer, t, length)) continue;
        if (room == 0) bytes += page * token;
        room = room == 0 ? page - 1 : room - 1;
      }
    }
  }
  return bytes;
}

std::int64_t longest_row(const CacheShape& shape, std::int64_t budget) {
  const std::int64_t token = bytes_of_token(shape);
  std::int64_t bytes = 0;
  for (std::int64_t length = 0;; ++length) {
    std::int64_t more = 0;  // of a token behind so many
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
      if (is_global(shape, layer) || length < shape.window) more += token;
    }
    if (more == 0) return kUnbounded;
    bytes += more;
    if (bytes > budget) return length;
  }
}

}  // namespace qlora
