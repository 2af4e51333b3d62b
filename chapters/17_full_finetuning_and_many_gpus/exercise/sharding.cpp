// Task 2: training state shared out, and what that costs on the wire. What each function does
// stands in common/training/sharding.h.
#include "training/sharding.h"

#include "core/error.h"
#include "core/todo.h"

namespace qlora {

std::string_view to_string(Sharding sharding) {
  todo("to_string", "chapter 17, task 2");
}

std::int64_t state_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding,
                         std::int64_t P) {
  todo("state_bytes", "chapter 17, task 2");
}

double ring_bytes(Collective collective, double bytes, std::int64_t P) {
  todo("ring_bytes", "chapter 17, task 2");
}

double step_bytes(std::int64_t n, const StateBytes& bytes, Sharding sharding, std::int64_t P,
                  std::int64_t M) {
  todo("step_bytes", "chapter 17, task 2");
}

double ring_rate(const Links& links, std::int64_t P) {
  todo("ring_rate", "chapter 17, task 2");
}

Efficiency efficiency(double compute, double exchange) {
  todo("efficiency", "chapter 17, task 2");
}

}  // namespace qlora
