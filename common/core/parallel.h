// The one place where the library uses more than one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace qlora {

/// Threads that parallel_for uses: OMP_NUM_THREADS, or one per processor.
inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Calls f(begin, end) for disjoint ranges that cover [0, n), one a thread. The ranges depend on n,
/// `grain` and the number of threads alone, so equal runs give equal bits. A range is a multiple of
/// `grain` long, but for the last. Nested calls run on the calling thread. An exception thrown by f
/// reaches the caller.
template <typename F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= 0) return;
#ifdef _OPENMP
  const std::int64_t chunks = (n + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(chunks, omp_get_max_threads()));
  if (threads > 1 && omp_in_parallel() == 0) {
    std::exception_ptr failure;
#pragma omp parallel num_threads(threads)
    {
      const std::int64_t t = omp_get_thread_num();
      const std::int64_t begin = std::min(n, chunks * t / threads * grain);
      const std::int64_t end = std::min(n, chunks * (t + 1) / threads * grain);
      try {
        if (begin < end) f(begin, end);
      } catch (...) {
#pragma omp critical(qlora_parallel_for)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  f(std::int64_t{0}, n);
}

}  // namespace qlora
