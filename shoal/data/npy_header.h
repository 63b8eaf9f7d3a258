// The header of an NPY file. Inside data only; others include npy.h.
#pragma once

#include "shoal/data/npy.h"

namespace shoal {

struct NpyHeader {
  NpyType type;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads magic, version and header. Throws Corrupt with the byte. `source` is at its beginning, and
// afterwards at the first value.
NpyHeader read_npy_header(ByteSource& source, NpyShapes shapes);

}  // namespace shoal
