// TCP sockets: making, naming, and moving whole byte strings with a deadline. All are non-blocking.
#pragma once

#include <cstddef>
#include <string>

#include "shoal/comm/socket.h"
#include "shoal/core/deadline.h"

namespace shoal {

// Listens on a numeric address or a name of this host; port 0 takes a free one.
// Throws InvalidInput when the port is taken or the address is not ours.
Socket listen_tcp(const std::string& address, int port);

// One attempt to connect, by `deadline`. Invalid when it fails; `why` then says the reason.
Socket connect_tcp(const std::string& address, int port, Deadline deadline, std::string& why);

// The next connection of a listener, invalid when there is none.
Socket accept_tcp(const Socket& listener);

int port_of(const Socket& socket);
std::string address_of(const Socket& socket);  // our end, as text

// For connections that carry data: no waiting for more to send. Between machines the rest is as the
// system has it: buffers that grow with what is under way, and its congestion control.
void tune_for_data(const Socket& socket);
// For connections inside a machine: the congestion control that is fastest there where the kernel
// lets us choose, and buffers of 1 MiB, because auto-tuned ones grow beyond the caches.
void tune_for_loopback(const Socket& socket);
// A small one makes the kernel take few bytes at a time: for tests.
void set_send_buffer(const Socket& socket, int bytes);

// Moves exactly `bytes`; false when the peer closed, an error came, or the deadline passed.
bool read_all(const Socket& socket, void* data, std::size_t bytes, Deadline deadline);
bool write_all(const Socket& socket, const void* data, std::size_t bytes, Deadline deadline);

// Until the peer's kernel has all that was sent, the connection is closed, or `deadline` passes.
// Before a close: what the peer sends to a closed socket makes the kernel forget the rest.
void await_taken(int fd, Deadline deadline);

}  // namespace shoal
