#include "twice.h"

int qlora::twice(int x) {
  for (volatile int i = 0;; i = i + 1) {
  }
  return 2 * x;
}
