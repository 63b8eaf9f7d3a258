#include "shoal/comm/tcp_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "shoal/core/error.h"

namespace shoal {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses resolve(const std::string& address, int port, int flags, std::string& why) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) why = gai_strerror(failed);
  return Addresses(list);
}

Socket stream_socket(int family) {
  return Socket(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Socket listen_tcp(const std::string& address, int port) {
  std::string why = "it has no address";
  const Addresses list = resolve(address, port, AI_PASSIVE, why);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    Socket listener = stream_socket(entry->ai_family);
    const int on = 1;
    if (listener) {
      setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (bind(listener.fd(), entry->ai_addr, entry->ai_addrlen) == 0 &&
          listen(listener.fd(), 1024) == 0) {
        return listener;
      }
    }
    why = std::strerror(errno);
  }
  throw InvalidInput(
      fmt::format("cannot listen on {} port {}: {}; give a free port and an address "
                  "of this host",
                  address, port, why));
}

Socket connect_tcp(const std::string& address, int port, Deadline deadline, std::string& why) {
  const Addresses list = resolve(address, port, 0, why);
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    Socket socket = stream_socket(entry->ai_family);
    if (!socket) continue;
    if (connect(socket.fd(), entry->ai_addr, entry->ai_addrlen) == 0) return socket;
    if (errno == EINPROGRESS) {
      if (!await_events(socket.fd(), POLLOUT, deadline)) {
        why = "no answer";
        continue;
      }
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
      if (error == 0) return socket;
      errno = error;
    }
    why = std::strerror(errno);
  }
  return Socket();
}

Socket accept_tcp(const Socket& listener) {
  return Socket(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int port_of(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length);
  const auto port = address.ss_family == AF_INET6
                        ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                        : reinterpret_cast<sockaddr_in*>(&address)->sin_port;
  return ntohs(port);
}

std::string address_of(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  char text[NI_MAXHOST] = {};
  if (getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), length, text, sizeof text, nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return {};
  }
  return text;
}

void tune_for_data(const Socket& socket) {
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void tune_for_loopback(const Socket& socket) {
  constexpr char kCubic[] = "cubic";
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, kCubic, sizeof kCubic - 1);
  const int bytes = 1 << 20;
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  set_send_buffer(socket, bytes);
}

void set_send_buffer(const Socket& socket, int bytes) {
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

bool read_all(const Socket& socket, void* data, std::size_t bytes, Deadline deadline) {
  auto* at = static_cast<char*>(data);
  while (bytes != 0) {
    const ssize_t got = recv(socket.fd(), at, bytes, 0);
    if (got > 0) {
      at += got;
      bytes -= static_cast<std::size_t>(got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR) ||
               !await_events(socket.fd(), POLLIN, deadline)) {
      return false;
    }
  }
  return true;
}

bool write_all(const Socket& socket, const void* data, std::size_t bytes, Deadline deadline) {
  const auto* at = static_cast<const char*>(data);
  while (bytes != 0) {
    const ssize_t sent = send(socket.fd(), at, bytes, MSG_NOSIGNAL);
    if (sent > 0) {
      at += sent;
      bytes -= static_cast<std::size_t>(sent);
    } else if ((errno != EAGAIN && errno != EINTR) ||
               !await_events(socket.fd(), POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

void await_taken(int fd, Deadline deadline) {
  for (;;) {
    tcp_info info{};
    socklen_t size = sizeof info;
    int unsent = 0;
    if (ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent == 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE ||
        deadline.passed()) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace shoal
