// Tensors as arrays of NumPy in files (shoal/data/npy.h has the format and its source).
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

// Of numbers that LibTorch computes with (float, signed integer, uint8 or bool), of any shape.
// Throws as read_npy of data does; Corrupt for other types of numbers.
at::Tensor read_npy_tensor(const std::filesystem::path& file);

}  // namespace shoal
