// CRC-32C: eight tables where there is nothing better, the instruction of SSE 4.2 where there is.
#include <array>
#include <cstring>

#include "shoal/core/digest.h"

namespace shoal {
namespace {

// Bit 31 is the coefficient of x^0: the register is reflected.
constexpr std::uint32_t kPolynomial = 0x82F63B78;

// a * b modulo the polynomial.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b & 1) ? (b >> 1) ^ kPolynomial : b >> 1;
  }
  return product;
}

// x^(8 bytes): multiplying a register by it appends so many zero bytes.
constexpr std::uint32_t power_of_bytes(std::size_t bytes) {
  std::uint32_t result = 0x80000000;  // 1
  std::uint32_t square = 0x00800000;  // x^8
  for (; bytes != 0; bytes >>= 1) {
    if (bytes & 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

using ByteTables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: the register after byte b and then k zero bytes.
constexpr ByteTables make_byte_tables() {
  ByteTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? (crc >> 1) ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr ByteTables kByteTables = make_byte_tables();

std::uint32_t add_byte(std::uint32_t crc, std::byte byte) {
  return (crc >> 8) ^ kByteTables[0][(crc ^ static_cast<std::uint32_t>(byte)) & 0xFF];
}

std::uint32_t little_endian_word(const std::byte* at) {
  std::uint32_t word = 0;
  for (int i = 3; i >= 0; --i) word = word << 8 | static_cast<std::uint32_t>(at[i]);
  return word;
}

#if defined(__x86_64__)

// Three registers run side by side, because the instruction has three times its own duration in
// latency; each covers kLane bytes, and the tables below append kLane zero bytes to the earlier
// one. Source: Gopal et al., Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction,
// 2011.
constexpr std::size_t kLane = 4096;

using ShiftTables = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr ShiftTables make_shift_tables() {
  ShiftTables tables{};
  const std::uint32_t power = power_of_bytes(kLane);
  for (std::uint32_t k = 0; k < 4; ++k) {
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      // Linear: an entry is the sum of the entries of its bits.
      const std::uint32_t one = multiply(power, std::uint32_t{1} << (8 * k + bit));
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        if (byte & (1u << bit)) tables[k][byte] ^= one;
      }
    }
  }
  return tables;
}

constexpr ShiftTables kShiftTables = make_shift_tables();

std::uint64_t append_zero_lane(std::uint64_t crc) {
  return kShiftTables[0][crc & 0xFF] ^ kShiftTables[1][(crc >> 8) & 0xFF] ^
         kShiftTables[2][(crc >> 16) & 0xFF] ^ kShiftTables[3][(crc >> 24) & 0xFF];
}

std::uint64_t word_at(const std::byte* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(
    std::span<const std::byte> bytes, std::uint32_t so_far) {
  std::uint64_t crc = ~so_far;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 3 * kLane; left -= 3 * kLane, at += 3 * kLane) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kLane; i += 8) {
      crc = __builtin_ia32_crc32di(crc, word_at(at + i));
      second = __builtin_ia32_crc32di(second, word_at(at + kLane + i));
      third = __builtin_ia32_crc32di(third, word_at(at + 2 * kLane + i));
    }
    crc = append_zero_lane(crc) ^ second;
    crc = append_zero_lane(crc) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) crc = __builtin_ia32_crc32di(crc, word_at(at));
  auto last = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at) {
    last = __builtin_ia32_crc32qi(last, static_cast<unsigned char>(*at));
  }
  return ~last;
}

#endif

}  // namespace

std::uint32_t detail::crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t so_far) {
  std::uint32_t crc = ~so_far;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint32_t low = crc ^ little_endian_word(at);
    const std::uint32_t high = little_endian_word(at + 4);
    crc = 0;
    for (int k = 0; k < 4; ++k) {
      crc ^= kByteTables[static_cast<std::size_t>(7 - k)][(low >> (8 * k)) & 0xFF];
      crc ^= kByteTables[static_cast<std::size_t>(3 - k)][(high >> (8 * k)) & 0xFF];
    }
  }
  for (; left > 0; --left, ++at) crc = add_byte(crc, *at);
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc32c_by_instruction(bytes, so_far);
#endif
  return detail::crc32c_by_table(bytes, so_far);
}

}  // namespace shoal
