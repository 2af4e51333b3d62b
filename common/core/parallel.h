// The one place where the library uses more than one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace qlora {

/// Threads that parallel_for uses: QLORA_THREADS, or one per processor that this process may use.
int thread_count();

/// Calls f(0) … f(chunks-1), each once, on up to thread_count() threads; nested calls run on the
/// calling thread. An exception thrown by f reaches the caller.
void parallel_chunks(std::int64_t chunks, const std::function<void(std::int64_t)>& f);

/// Calls f(begin, end) for disjoint ranges that cover [0, n), one a thread. The ranges depend on n,
/// `grain` and the number of threads alone, not on which thread is free, so equal runs give equal
/// bits. A range is a multiple of `grain` long, but for the last.
template <typename F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= 0) return;
  const std::int64_t units = (n + grain - 1) / grain;
  const std::int64_t chunks = std::min<std::int64_t>(units, thread_count());
  if (chunks <= 1) {
    f(std::int64_t{0}, n);
    return;
  }
  parallel_chunks(chunks, [&](std::int64_t chunk) {
    const std::int64_t begin = std::min(n, units * chunk / chunks * grain);
    const std::int64_t end = std::min(n, units * (chunk + 1) / chunks * grain);
    if (begin < end) f(begin, end);
  });
}

}  // namespace qlora
