#include <csetjmp>

#include "twice.h"

namespace {

std::jmp_buf place;

struct Marks {
  Marks() { (void)setjmp(place); }
} marks;

}  // namespace

int qlora::twice(int x) {
  std::longjmp(place, x);
}
