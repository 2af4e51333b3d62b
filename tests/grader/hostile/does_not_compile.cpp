#include "twice.h"

int qlora::twice(int x) {
  return 2 x;
}
