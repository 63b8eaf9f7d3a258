#include "shoal/comm/socket.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {

void Socket::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Socket open_process(std::int64_t process) {
  return Socket(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0U)));
}

bool has_ended(const Socket& process) {
  pollfd entry{process.fd(), POLLIN, 0};
  return process && poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

std::string random_bytes(std::size_t bytes) {
  std::string random(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ssize_t got = getrandom(random.data() + have, bytes - have, 0);
    check(got > 0 || errno == EINTR, "the kernel gives random bytes");
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return random;
}

std::string random_name() {
  std::string name;
  for (const char byte : random_bytes(16)) {
    name += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return name;
}

namespace {

// An abstract address: a zero byte, then the name.
std::pair<sockaddr_un, socklen_t> local_address(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  check(name.size() + 1 < sizeof address.sun_path, "names of local sockets are short");
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

// A message of one byte with room for one open file beside it.
struct FileMessage {
  FileMessage() {
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  FileMessage(const FileMessage&) = delete;
  FileMessage& operator=(const FileMessage&) = delete;

  char byte = 1;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
};

}  // namespace

Socket listen_local(const std::string& name) {
  Socket listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto [address, length] = local_address(name);
  if (!listener || bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      listen(listener.fd(), 1024) != 0) {
    throw InvalidInput(fmt::format("cannot listen on a local socket: {}", std::strerror(errno)));
  }
  return listener;
}

Socket connect_local(const std::string& name) {
  Socket connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto [address, length] = local_address(name);
  if (!connection ||
      connect(connection.fd(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return Socket();
  }
  return connection;
}

LocalPeer local_peer(const Socket& connection) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(connection.fd(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return {};
  return {static_cast<std::int64_t>(credentials.uid), credentials.pid};
}

bool hand_file(const Socket& connection, int file) {
  FileMessage carrier;
  cmsghdr* header = CMSG_FIRSTHDR(&carrier.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &file, sizeof file);
  return sendmsg(connection.fd(), &carrier.message, MSG_NOSIGNAL) == 1;
}

Socket take_file(const Socket& connection, Deadline deadline) {
  if (!await_events(connection.fd(), POLLIN, deadline)) return Socket();
  FileMessage carrier;
  if (recvmsg(connection.fd(), &carrier.message, MSG_CMSG_CLOEXEC) != 1) return Socket();
  const cmsghdr* header = CMSG_FIRSTHDR(&carrier.message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return Socket();
  int file = -1;
  std::memcpy(&file, CMSG_DATA(header), sizeof file);
  return Socket(file);
}

bool has_events(int fd, short events) {
  pollfd entry{fd, events, 0};
  return poll(&entry, 1, 0) > 0;
}

bool await_events(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(deadline.left().count()));
    if (ready > 0) return true;
    if (deadline.passed()) return false;
  }
}

}  // namespace shoal
