// Event files of TensorBoard.
#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "shoal/core/digest.h"
#include "shoal/core/error.h"
#include "shoal/train/metrics_formats.h"

namespace shoal::tensorboard {
namespace {

// Wire types of protocol buffers, and the fields of the messages that are written.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;  // of Event
constexpr int kValue = 1;                                                // of Summary
constexpr int kTag = 1, kSimpleValue = 2;                                // of Summary.Value

template <typename Number>
void put_number(std::string& out, Number number) {
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

template <typename Number>
Number number_at(std::string_view bytes) {
  Number number;
  bytes.copy(reinterpret_cast<char*>(&number), sizeof number);
  return number;
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, int field, Wire wire) {
  put_varint(out, static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire));
}

void put_text(std::string& out, int field, std::string_view text) {
  put_key(out, field, Wire::bytes);
  put_varint(out, text.size());
  out += text;
}

// So that a checksum over data which holds checksums stays a good one.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

std::string framed(const std::string& event) {
  std::string record;
  put_number(record, static_cast<std::uint64_t>(event.size()));
  put_number(record, masked_crc(record));
  record += event;
  put_number(record, masked_crc(event));
  return record;
}

constexpr std::size_t kBeforeData = 12;
constexpr std::size_t kAfterData = 4;
constexpr std::uint64_t kLargest = 1 << 20;  // of ours: a few hundred bytes

// The fields of a message, one after another. Throws InvalidInput where they do not fit it.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    field_ = static_cast<int>(key >> 3);
    switch (static_cast<Wire>(key & 7)) {
      case Wire::varint:
        number_ = varint();
        return true;
      case Wire::fixed64:
        bytes_ = take(8);
        return true;
      case Wire::fixed32:
        bytes_ = take(4);
        return true;
      case Wire::bytes:
        bytes_ = take(varint());
        return true;
      default:
        fail();
    }
  }
  int field() const { return field_; }
  std::uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }

 private:
  [[noreturn]] static void fail() { throw InvalidInput("has a record that is no event"); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  int field_ = 0;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

FoundRecord found_event(std::string_view event) {
  FoundRecord found{.bytes = kBeforeData + event.size() + kAfterData, .step = 0, .set = "header"};
  for (Fields fields(event); fields.next();) {
    if (fields.field() == kStep) found.step = static_cast<std::int64_t>(fields.number());
    if (fields.field() != kSummary) continue;
    Fields summary(fields.bytes());
    if (!summary.next()) continue;
    for (Fields value(summary.bytes()); value.next();) {
      if (value.field() != kTag) continue;
      found.set = std::string(value.bytes().substr(0, value.bytes().find('/')));
    }
  }
  return found;
}

}  // namespace

// The time is left out: whoever reads takes that of the first record.
std::string header() {
  std::string event;
  put_text(event, kFileVersion, "brain.Event:2");
  return framed(event);
}

std::string encode(const MetricsRecord& record) {
  std::string summary;
  for (const auto& [name, number] : record.values) {
    std::string value;
    put_text(value, kTag, record.set + "/" + name);
    put_key(value, kSimpleValue, Wire::fixed32);
    put_number(value, static_cast<float>(number));
    put_text(summary, kValue, value);
  }
  std::string event;
  put_key(event, kWallTime, Wire::fixed64);
  put_number(event, record.time);
  put_key(event, kStep, Wire::varint);
  put_varint(event, static_cast<std::uint64_t>(record.step));
  put_text(event, kSummary, summary);
  return framed(event);
}

std::optional<FoundRecord> next(std::string_view rest) {
  if (rest.size() < kBeforeData) return std::nullopt;
  const auto length = number_at<std::uint64_t>(rest);
  if (number_at<std::uint32_t>(rest.substr(8)) != masked_crc(rest.substr(0, 8)) ||
      length > kLargest) {
    throw InvalidInput("has a record whose length does not have its checksum");
  }
  if (rest.size() < kBeforeData + length + kAfterData) return std::nullopt;
  const std::string_view event = rest.substr(kBeforeData, length);
  if (number_at<std::uint32_t>(rest.substr(kBeforeData + length)) != masked_crc(event)) {
    throw InvalidInput("has a record that does not have its checksum");
  }
  return found_event(event);
}

}  // namespace shoal::tensorboard
