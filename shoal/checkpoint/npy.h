// Arrays of NumPy in files: magic, version, a dictionary that describes the array, its values.
// Source: NumPy, numpy.lib.format, versions 1.0 to 3.0.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace shoal {

// What stands before the values of an array of this type and shape, row-major, little-endian; a
// multiple of 64 bytes. Throws InvalidInput for bfloat16, which NumPy does not have.
std::string npy_header(at::ScalarType type, const std::vector<std::int64_t>& shape);

// A file of one array, replaced atomically.
void write_npy(const std::filesystem::path& file, const at::Tensor& tensor);

// Of little-endian numbers (float, integer or bool). Throws Corrupt naming the file for anything
// that is no such array, and for one whose values are fewer or more than its shape says, before
// memory is taken; InvalidInput when it cannot be opened.
at::Tensor read_npy(const std::filesystem::path& file);

}  // namespace shoal
