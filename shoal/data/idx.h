// IDX, the format of MNIST and its relatives: two zero bytes, a byte for the element type, a byte
// for the number of dimensions, that many sizes as u32, then the values; all big-endian.
// Source: LeCun, Cortes, Burges, The MNIST database, "file format".
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"
#include "shoal/data/batch.h"
#include "shoal/data/byte_source.h"
#include "shoal/data/samples.h"

namespace shoal {

struct IdxArray {
  ElementType type = ElementType::uint8;  // uint8, int8, int16, int32, float32 or float64
  std::vector<std::int64_t> shape;        // all sizes > 0
  AlignedBytes values;                    // row-major, in the byte order of this machine
  std::int64_t header_bytes = 0;          // where the values begin in the file
};

// What a file is asked to be, for checks and messages.
struct IdxRole {
  std::string name;  // "images" or "labels"
  int least_dimensions = 1;
  int most_dimensions = 4;
};

// `path` is unpacked when it ends in .gz. Throws Corrupt naming file, byte, what was expected and
// what was found: wrong magic (swapped bytes are recognised), unknown type, wrong number of
// dimensions for the role, a size of 0, content shorter or longer than the header says. Sizes are
// checked against the file before memory is taken. InvalidInput when there is no such file.
IdxArray read_idx(const std::filesystem::path& path, const IdxRole& role,
                  std::stop_token stop = {});
IdxArray read_idx(ByteSource& source, const IdxRole& role);  // `source` at its beginning

// Pictures and their labels. A picture file of 3 dimensions gives samples of {1, height, width}, of
// 4 {channels, height, width}, of 2 rows of features. `classes` 0: the largest label + 1. Throws as
// read_idx, Corrupt for a label outside 0..classes-1, InvalidInput for counts that differ.
Samples read_idx_samples(const std::filesystem::path& images, const std::filesystem::path& labels,
                         std::int64_t classes, std::stop_token stop = {});

// The pictures alone. Throws as read_idx.
Samples read_idx_inputs(const std::filesystem::path& images, std::stop_token stop = {});

// Shape of the samples of a picture file, from its header alone. Throws as read_idx.
std::vector<std::int64_t> read_idx_sample_shape(const std::filesystem::path& images);

// The file in `folder` whose name begins with one of `prefixes` ("train-images"); a plain file is
// preferred to the same name with .gz. Throws InvalidInput for none, or several different ones.
std::filesystem::path find_idx_file(const std::filesystem::path& folder,
                                    const std::vector<std::string>& prefixes);

}  // namespace shoal
