// Task 2: the cache of keys and values. What each function does stands in cache.h.
#include "cache.h"

#include "core/todo.h"

namespace qlora {

std::int64_t cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths) {
  todo("cache_bytes", "chapter 09, task 2");
}

std::int64_t paged_cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths,
                               std::int64_t page) {
  todo("paged_cache_bytes", "chapter 09, task 2");
}

std::int64_t longest_row(const CacheShape& shape, std::int64_t budget) {
  todo("longest_row", "chapter 09, task 2");
}

}  // namespace qlora
