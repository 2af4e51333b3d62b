// Task 3: LoftQ. What the function does stands in loftq.h; svd() (lora/svd.h) is there.
#include "loftq.h"

#include "core/todo.h"

namespace qlora {

LoftqStart loftq_start(const Tensor& W, std::int64_t R, double scaling, int steps) {
  todo("loftq_start", "chapter 12, task 3");
}

}  // namespace qlora
