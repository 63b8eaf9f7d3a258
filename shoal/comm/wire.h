// Numbers in byte strings, little endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal {

inline void put_u32(std::string& bytes, std::uint32_t number) {
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
}
inline void put_u64(std::string& bytes, std::uint64_t number) {
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
}

// The caller has checked that the bytes are there.
inline std::uint32_t get_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (int i = 0; i < 4; ++i) {
    number |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return number;
}
inline std::uint64_t get_u64(std::string_view bytes, std::size_t at) {
  return get_u32(bytes, at) | (static_cast<std::uint64_t>(get_u32(bytes, at + 4)) << 32);
}

}  // namespace shoal
