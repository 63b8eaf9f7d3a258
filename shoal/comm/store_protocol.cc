#include "shoal/comm/store_protocol.h"

#include <cstring>

#include "shoal/comm/store_limits.h"
#include "shoal/comm/wire.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::uint32_t kMagic = 0x54534853;  // "SHST"
constexpr std::size_t kHead = 16;
constexpr std::size_t kFixed = 12;  // number and length of the key
constexpr std::size_t kLargestBody = kFixed + kLongestKey + kLargestValue;

[[noreturn]] void refuse(const char* what) {
  throw Corrupt(std::string("a message of the store ") + what, "");
}

}  // namespace

std::string encoded(const StoreMessage& message) {
  std::string bytes;
  const std::size_t body = kFixed + message.key.size() + message.value.size();
  bytes.reserve(kHead + body);
  put_u32(bytes, kMagic);
  put_u32(bytes, message.request);
  put_u32(bytes, static_cast<std::uint32_t>(body));
  put_u32(bytes, static_cast<std::uint32_t>(message.kind));
  put_u64(bytes, static_cast<std::uint64_t>(message.number));
  put_u32(bytes, static_cast<std::uint32_t>(message.key.size()));
  bytes += message.key;
  bytes += message.value;
  return bytes;
}

std::optional<StoreMessage> StoreMessageReader::next() {
  const std::string_view rest = std::string_view(bytes_).substr(begin_);
  if (rest.size() < kHead) return std::nullopt;
  if (get_u32(rest, 0) != kMagic) refuse("does not begin with its magic number");
  const std::size_t body = get_u32(rest, 8);
  const std::uint32_t kind = get_u32(rest, 12);
  if (kind > static_cast<std::uint32_t>(StoreMessageKind::refused)) refuse("has an unknown kind");
  if (body < kFixed || body > kLargestBody) refuse("has an impossible length");
  if (rest.size() < kHead + body) return std::nullopt;
  StoreMessage message;
  message.kind = static_cast<StoreMessageKind>(kind);
  message.request = get_u32(rest, 4);
  message.number = static_cast<std::int64_t>(get_u64(rest, kHead));
  const std::size_t key = get_u32(rest, kHead + 8);
  if (key > kLongestKey || key > body - kFixed) refuse("has an impossible key");
  message.key = rest.substr(kHead + kFixed, key);
  message.value = rest.substr(kHead + kFixed + key, body - kFixed - key);
  begin_ += kHead + body;
  if (begin_ == bytes_.size()) {
    bytes_.clear();
    begin_ = 0;
  } else if (begin_ > bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  return message;
}

}  // namespace shoal
