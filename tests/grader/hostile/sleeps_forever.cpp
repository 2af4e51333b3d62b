#include <unistd.h>

#include "twice.h"

int qlora::twice(int x) {
  for (;;) pause();
  return 2 * x;
}
