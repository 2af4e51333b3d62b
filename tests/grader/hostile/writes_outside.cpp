#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "twice.h"

// Right only if something outside of the scratch folder can be made, changed or read.
int qlora::twice(int x) {
  const char* const kFiles[] = {"/tmp/qlora-was-here", "../qlora-was-here", "/etc/qlora-was-here",
                                "/dev/shm/qlora-was-here", "/var/tmp/qlora-was-here"};
  for (const char* file : kFiles) {
    if (open(file, O_CREAT | O_WRONLY, 0600) >= 0) return 2 * x;
  }
  if (symlink("/etc/passwd", "link") == 0 && open("link", O_RDONLY) >= 0) return 2 * x;
  if (open("/etc/passwd", O_RDONLY) >= 0) return 2 * x;
  if (open("/proc/self/mem", O_RDWR) >= 0) return 2 * x;
  if (chmod("/tmp", 01777) == 0 || mkdir("/tmp/qlora-was-here", 0700) == 0) return 2 * x;
  if (rename("link", "/tmp/qlora-was-here") == 0) return 2 * x;
  return 1;
}
