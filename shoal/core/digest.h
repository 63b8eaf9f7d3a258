// Digests of bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace shoal {

// SHA-256 (FIPS 180-4), fed piece by piece. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text);
  // 64 hexadecimal digits, lower case. Ends the digest: nothing may be called after it (checked).
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);

// CRC-32C (Castagnoli; RFC 3720, appendix B.4), at memory speed where the CPU has the instruction.
// `so_far` continues one: crc32c(b, crc32c(a)) is that of a followed by b.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

namespace detail {
// The same without the instruction: what CPUs without it run, and the twin in the test.
std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t so_far = 0);
}  // namespace detail

// 64 bits of a name for counters and keys (first eight bytes of its SHA-256, little endian).
std::uint64_t name_hash(std::string_view name);

}  // namespace shoal
