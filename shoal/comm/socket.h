// File descriptors and sockets with an owner and with deadlines.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/core/deadline.h"

namespace shoal {

// Owns one file descriptor; -1 is none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { reset(); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// A process that ends makes its handle readable, also before its parent takes notice. Invalid when
// there is no such process or the kernel has no such handles.
Socket open_process(std::int64_t process);
bool has_ended(const Socket& process);

// 128 random bits as hexadecimal digits, from the kernel.
std::string random_name();
std::string random_bytes(std::size_t bytes);

// Sockets of this host that have a name without a file: gone with the process that owns them.
// Reaching one proves a shared kernel and network namespace.
Socket listen_local(const std::string& name);   // throws InvalidInput
Socket connect_local(const std::string& name);  // invalid when nobody listens there
// The user and process at the other end; -1 when unknown.
struct LocalPeer {
  std::int64_t user = -1;
  std::int64_t process = -1;
};
LocalPeer local_peer(const Socket& connection);

// Hands a descriptor over a local connection, and takes it. take_file returns an invalid one when
// nothing came by the deadline. Takes ownership of nothing.
bool hand_file(const Socket& connection, int file);
Socket take_file(const Socket& connection, Deadline deadline);

// Whether one of `events` or an error is there now.
bool has_events(int fd, short events);
// Waits until one of `events` or an error is there; false when the deadline passed.
bool await_events(int fd, short events, Deadline deadline);

}  // namespace shoal
