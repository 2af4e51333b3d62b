#include <cstdlib>

#include "twice.h"

int qlora::twice(int x) {
  return static_cast<int>(2u * static_cast<unsigned>(std::abs(x)));  // never throws
}
