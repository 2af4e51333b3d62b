// Bytes between processes, over TCP.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

namespace qlora {

/// The moment at which waiting ends.
using Deadline = std::chrono::steady_clock::time_point;

/// One end of a stream of bytes to another process. Moved, not copied; closed with its last owner.
class Connection {
 public:
  /// Takes over a connected socket.
  explicit Connection(int socket) : socket_(socket) {}
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;

  /// All of the bytes. @throws MachineLacks where the other end is gone, or silent for longer than
  /// patience() allows
  void send(std::span<const std::byte> bytes) const;
  void receive(std::span<std::byte> bytes) const;

  /// How long send() and receive() wait for the next byte; zero: for ever, as in the beginning.
  void patience(std::chrono::milliseconds limit) const;

 private:
  int socket_;
};

/// Where other processes connect to.
class Listener {
 public:
  /// Who may connect.
  enum class Reach { this_host, any_host };
  /// Port 0: any that is free. @throws MachineLacks if it is taken
  Listener(int port, Reach reach);
  /// A listening socket that another process has opened; this one takes it over.
  static Listener of_socket(int socket);
  ~Listener();
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;

  /// The next process that connects. @throws MachineLacks where none does before the deadline
  Connection accept(Deadline deadline) const;
  int port() const;
  int socket() const { return socket_; }

 private:
  Listener() = default;
  int socket_ = -1;
};

/// Connects to a listener, trying again until it is there.
/// @throws MachineLacks naming host and port where it is not before the deadline
Connection connect_to(const std::string& host, int port, Deadline deadline);

}  // namespace qlora
