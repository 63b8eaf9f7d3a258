// Proving to each other that both ends of a connection know a secret, without sending it.
//
//   server -> client   "SHOAL1" and two bytes of version, 32 random bytes S
//   client -> server   the same magic, 8 bytes that say who it is, 32 random bytes C,
//                      HMAC-SHA-256(secret, "client" S C who)
//   server -> client   one byte: 1 accepted, 0 refused; HMAC-SHA-256(secret, "server" C S who)
//
// Both ends choose random bytes, so that nothing recorded can be replayed to either.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/comm/socket.h"

namespace shoal {

// The server's part, driven by whoever reads the socket: it never waits.
class Doorkeeper {
 public:
  explicit Doorkeeper(std::string secret);

  const std::string& greeting() const { return greeting_; }  // to be sent first
  enum class Verdict : std::uint8_t { more, accepted, refused };
  // Takes what the client sent; never more than bytes_missing() at a time.
  Verdict take(std::string_view bytes);
  std::size_t bytes_missing() const;
  const std::string& answer() const { return answer_; }  // to be sent after the verdict
  std::uint64_t visitor() const { return visitor_; }     // who the accepted client says it is

 private:
  std::string secret_;
  std::string greeting_;
  std::string received_;
  std::string answer_;
  std::uint64_t visitor_ = 0;
};

// The client's part. Waits.
enum class Admission : std::uint8_t {
  admitted,
  refused,       // one of the two does not know the secret
  not_a_server,  // it speaks something else
  gone,          // closed, or silent until the deadline
};
Admission ask_admission(const Socket& socket, const std::string& secret, std::uint64_t who,
                        Deadline deadline);

}  // namespace shoal
