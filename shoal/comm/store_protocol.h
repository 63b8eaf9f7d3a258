// What clients and server of the TCP store say to each other, after the handshake.
//
// A message is a head of 16 bytes, little endian: magic "SHST", number of the request, bytes of the
// body, kind, three zero bytes; then the body: a number of 8 bytes, the length of the key (4
// bytes), the key, the value. A reply has the number of its request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

enum class StoreMessageKind : std::uint8_t {
  set,        // key, value
  get,        // key; number: milliseconds that the server keeps the request
  look,       // key
  add,        // key; number: what to add
  when_gone,  // key, value
  found,      // value; number: the new value of a counter
  absent,
  refused,  // value: why
};

struct StoreMessage {
  StoreMessageKind kind = StoreMessageKind::set;
  std::uint32_t request = 0;
  std::int64_t number = 0;
  std::string key = {};
  std::string value = {};
};

std::string encoded(const StoreMessage& message);

// Cuts a stream of bytes into messages. A message longer than any that is allowed is refused by its
// head, before memory is taken for it.
class StoreMessageReader {
 public:
  void take(std::string_view bytes) { bytes_.append(bytes); }
  // The next whole message. Throws Corrupt when the bytes are none.
  std::optional<StoreMessage> next();

 private:
  std::string bytes_;
  std::size_t begin_ = 0;  // what lies before was read
};

}  // namespace shoal
