#include "core/connection.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>
#include <utility>

#include "core/error.h"

namespace qlora {
namespace {

[[noreturn]] void lost(const std::string& why) {
  throw MachineLacks("the connection to another process of the run is lost: " + why);
}

// Small messages go at once: each waits for an answer.
void without_delay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int milliseconds_left(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

void close_if_open(int socket) {
  if (socket >= 0) ::close(socket);
}

// The addresses of a host; freed with it.
struct Addresses {
  addrinfo* first = nullptr;
  Addresses(const std::string& host, int port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
    if (code != 0) throw MachineLacks(host + ": is no host: " + ::gai_strerror(code));
  }
  ~Addresses() { ::freeaddrinfo(first); }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
};

}  // namespace

Connection::~Connection() {
  close_if_open(socket_);
}

Connection::Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(socket_, other.socket_);
  return *this;
}

void Connection::send(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) lost(std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void Connection::receive(std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) lost("it ended");
    if (got < 0) lost(std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void Connection::patience(std::chrono::milliseconds limit) const {
  timeval time{};
  time.tv_sec = limit.count() / 1000;
  time.tv_usec = limit.count() % 1000 * 1000;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Listener::Listener(int port, Reach reach) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const int on = 1;
  ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(reach == Reach::this_host ? INADDR_LOOPBACK : INADDR_ANY);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (socket_ < 0 ||
      ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_, SOMAXCONN) != 0) {
    const std::string why = std::strerror(errno);
    close_if_open(socket_);
    throw MachineLacks("port " + std::to_string(port) + " cannot be listened at: " + why);
  }
}

Listener Listener::of_socket(int socket) {
  Listener taken;
  taken.socket_ = socket;
  return taken;
}

Listener::~Listener() {
  close_if_open(socket_);
}

Listener::Listener(Listener&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

Connection Listener::accept(Deadline deadline) const {
  for (;;) {
    pollfd waiting{socket_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, milliseconds_left(deadline));
    if (ready == 0) throw MachineLacks("no process connected in time");
    if (ready < 0 && errno != EINTR) lost(std::strerror(errno));
    if (ready <= 0) continue;
    const int socket = ::accept(socket_, nullptr, nullptr);
    if (socket < 0) continue;  // it has gone again
    without_delay(socket);
    return Connection(socket);
  }
}

int Listener::port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

Connection connect_to(const std::string& host, int port, Deadline deadline) {
  const Addresses addresses(host, port);
  for (;;) {
    for (const addrinfo* a = addresses.first; a != nullptr; a = a->ai_next) {
      const int socket = ::socket(a->ai_family, a->ai_socktype, a->ai_protocol);
      if (socket < 0) continue;
      if (::connect(socket, a->ai_addr, a->ai_addrlen) == 0) {
        without_delay(socket);
        return Connection(socket);
      }
      ::close(socket);
    }
    if (milliseconds_left(deadline) == 0) {
      throw MachineLacks("nothing listens at " + host + " port " + std::to_string(port) + ": " +
                         std::strerror(errno));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace qlora
