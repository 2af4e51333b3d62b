#include "core/parallel.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstdlib>
#include <thread>

#include "core/error.h"
#include "core/stop_signal.h"

namespace qlora {
namespace {

int wanted_threads() {
  const char* text = std::getenv("QLORA_THREADS");
  if (text == nullptr || *text == '\0') return tbb::info::default_concurrency();
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  if (*end != '\0' || n < 1 || n > 4096) {
    throw UsageError("QLORA_THREADS must be a number of 1 to 4096, is " + std::string(text));
  }
  return static_cast<int>(n);
}

thread_local bool inside_chunk = false;

// Signals come to the thread that waits for the others.
void keep_signals_out() {
  thread_local bool blocked = false;
  if (!blocked) block_stop_signals();
  blocked = true;
}

}  // namespace

int thread_count() {
  static const int threads = wanted_threads();
  return threads;
}

void parallel_chunks(std::int64_t chunks, const std::function<void(std::int64_t)>& f) {
  if (chunks <= 1 || inside_chunk) {
    for (std::int64_t i = 0; i < chunks; ++i) f(i);
    return;
  }
  static const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                         static_cast<std::size_t>(thread_count()));
  static tbb::task_arena arena(thread_count());
  const std::thread::id caller = std::this_thread::get_id();
  arena.execute([&] {
    tbb::parallel_for(
        std::int64_t{0}, chunks,
        [&](std::int64_t i) {
          if (std::this_thread::get_id() != caller) keep_signals_out();
          inside_chunk = true;
          try {
            f(i);
          } catch (...) {
            inside_chunk = false;
            throw;
          }
          inside_chunk = false;
        },
        tbb::simple_partitioner());
  });
}

}  // namespace qlora
