// Task 2: what a cache of keys and values takes. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// The sizes of a decoder that decide what generation keeps of each token: in every layer a key and
/// a value for each of its key-value heads.
struct CacheShape {
  std::int64_t layers = 1;         ///< L
  std::int64_t kv_heads = 1;       ///< K, fewer than the heads of queries
  std::int64_t head_dim = 1;       ///< D
  std::int64_t element_bytes = 2;  ///< of a number
  /// Some models look back over all tokens in a few layers only (Gemma 2: every second, Gemma 3:
  /// every sixth). Of each `global_every` layers the last is such a global one; the others, and
  /// those behind the last whole group, are local and keep the last `window` tokens. 0: all are
  /// global.
  std::int64_t window = 0;
  std::int64_t global_every = 1;
};

/// A length that no row reaches.
inline constexpr std::int64_t kUnbounded = INT64_MAX;

/// Bytes that rows of these lengths keep.
std::int64_t cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths);

/// The same where memory is taken in pages: each layer of each row holds its keys and values in
/// pages of `page` tokens, and a page that has begun counts whole (vLLM: PagedAttention).
std::int64_t paged_cache_bytes(const CacheShape& shape, std::span<const std::int64_t> lengths,
                               std::int64_t page);

/// The longest single row whose cache_bytes are at most `budget`: 0 where not even one token fits,
/// kUnbounded where longer rows take no more.
std::int64_t longest_row(const CacheShape& shape, std::int64_t budget);

}  // namespace qlora
