// What the tests of readers share: a folder of their own, small files, and what a call is refused
// with. For tests only.
#pragma once

#include <stdlib.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/error.h"
#include "shoal/core/test_folder.h"
#include "shoal/data/dataset.h"

namespace shoal {

// All samples of a set, in its order.
inline Batch read_all(const Dataset& data) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(data.size()));
  std::iota(ids.begin(), ids.end(), 0);
  Batch batch;
  data.read(ids, batch);
  return batch;
}

// One gzip member.
inline std::string gzip(std::string_view content) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string packed(deflateBound(&stream, content.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

// An IDX header.
inline std::string idx_header(int type, const std::vector<std::uint32_t>& sizes) {
  std::string header{0, 0, static_cast<char>(type), static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) header += big_endian(size, 4);
  return header;
}

inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

// What numpy.save writes before the values: `dict` padded so that they begin at a multiple of 64.
inline std::string npy_start(std::string dict, int version = 1) {
  const std::size_t before = version == 1 ? 10 : 12;
  dict += std::string((64 - (before + dict.size() + 1) % 64) % 64, ' ') + "\n";
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' +
         little_endian(dict.size(), version == 1 ? 2 : 4) + dict;
}
inline std::string npy_header(const std::string& type, const std::string& shape,
                              bool fortran_order = false) {
  return npy_start("{'descr': '" + type + "', 'fortran_order': " +
                   (fortran_order ? "True" : "False") + ", 'shape': " + shape + ", }");
}

// `count` bytes 0, 1, 2, ..., 255, 0, ...
inline std::string counting(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

// What `call` is refused with, and as what; "" when it is not.
template <typename Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Corrupt& error) {
    return std::string("Corrupt: ") + error.what();
  } catch (const InvalidInput& error) {
    return std::string("InvalidInput: ") + error.what();
  } catch (const Cancelled& error) {
    return std::string("Cancelled: ") + error.what();
  }
  return "";
}

// Calls `read` on every truncation of `content` and on `flips` copies with one to four bytes
// altered: it may return or refuse, not crash or throw anything else. Returns how many it refused.
template <typename Read>
int survive_damage(const std::string& content, int flips, const Read& read) {
  int refused = 0;
  for (std::size_t length = 0; length < content.size(); ++length) {
    refused += refusal([&] { read(content.substr(0, length)); }) != "";
  }
  std::mt19937 random(7);
  for (int i = 0; i < flips; ++i) {
    std::string damaged = content;
    for (int changes = static_cast<int>(random() % 4); changes >= 0; --changes) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    refused += refusal([&] { read(damaged); }) != "";
  }
  return refused;
}

}  // namespace shoal
