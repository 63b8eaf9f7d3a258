// NPY, the format of numpy.save: the magic \x93NUMPY, two bytes of version, the length of a header
// (16 bits in version 1.0, 32 in 2.0 and 3.0), the header as a Python dict of element type, order
// and shape, then the values.
// Source: NumPy, "The .npy format" (NEP 1, and numpy.lib.format for version 3.0).
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "shoal/data/batch.h"
#include "shoal/data/byte_source.h"
#include "shoal/data/csv.h"
#include "shoal/data/samples.h"

namespace shoal {

// Numbers only: bool, integers of 8 to 64 bits, floats of 16, 32 and 64.
struct NpyType {
  char kind = 'u';  // b, i, u or f, as in the file
  int bytes = 1;
  bool operator==(const NpyType&) const = default;
};

struct NpyArray {
  std::string path;
  NpyType type;
  std::vector<std::int64_t> shape;
  bool fortran_order = false;     // whether the values are column-major
  AlignedBytes values;            // in the file's order, in the byte order of this machine
  std::int64_t header_bytes = 0;  // where the values begin in the file

  std::int64_t elements() const;
};

enum class NpyShapes : std::uint8_t {
  samples,  // one size or more, all above 0
  any,      // a single value and sizes of 0, too
};

// `path` is unpacked when it ends in .gz. Throws Corrupt naming file, byte, what was expected and
// what was found: wrong magic, unknown version, a header that is cut or says something else, a type
// that is no number (objects, text, records, complex, dates), a shape that is not among `shapes`,
// content shorter or longer than the header says. Sizes are checked against the file, in 64 bits,
// before memory is taken. InvalidInput when there is no such file.
NpyArray read_npy(const std::filesystem::path& path, std::stop_token stop = {},
                  NpyShapes shapes = NpyShapes::samples);
// `source` is at its beginning.
NpyArray read_npy(ByteSource& source, NpyShapes shapes = NpyShapes::samples);

struct NpyOptions {
  LearningTask task = LearningTask::classification;
  std::int64_t classes = 0;       // 0: the largest label + 1
  bool allow_non_finite = false;  // lets NaN and infinity pass
};

// Inputs and their labels: as many of both, along the first size. Inputs of 3 sizes give samples of
// {1, height, width}, as IDX does, of 1 size samples of {1}; others keep the rest of their shape.
// uint8 stays bytes, all else becomes float32. Labels have 1 size, or 2, of which for classes the
// second is 1, and else the number of columns to predict: whole numbers for classes, 0 and 1 for
// multi_label, any for numbers. Throws as read_npy; Corrupt, with the byte, for a label outside
// 0..classes-1 and for what is not finite; InvalidInput for shapes that do not fit.
Samples read_npy_samples(const std::filesystem::path& inputs, const std::filesystem::path& labels,
                         const NpyOptions& options, std::stop_token stop = {});

// The inputs alone. Throws as read_npy, Corrupt for what is not finite unless that is allowed.
Samples read_npy_inputs(const std::filesystem::path& inputs, bool allow_non_finite = false,
                        std::stop_token stop = {});

}  // namespace shoal
