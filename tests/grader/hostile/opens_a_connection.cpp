#include <netinet/in.h>
#include <sys/socket.h>

#include <initializer_list>

#include "twice.h"

int qlora::twice(int x) {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
    if (socket(family, SOCK_STREAM, 0) >= 0 || socket(family, SOCK_RAW, 0) >= 0) return 2 * x;
  }
  int ends[2];
  return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 ? 2 * x : 1;
}
