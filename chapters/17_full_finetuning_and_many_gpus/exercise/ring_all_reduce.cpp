// Task 3: an all-reduce in a ring. What each function does stands in ring_all_reduce.h.
#include "ring_all_reduce.h"

#include "core/todo.h"

namespace qlora {

std::vector<RingStep> ring_all_reduce(std::int64_t P) {
  todo("ring_all_reduce", "chapter 17, task 3");
}

ChunkRange chunk_range(std::int64_t n, std::int64_t P, std::int64_t c) {
  todo("chunk_range", "chapter 17, task 3");
}

}  // namespace qlora
