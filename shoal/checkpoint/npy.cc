#include "shoal/checkpoint/npy.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/data/npy.h"

namespace shoal {
namespace {

// NumPy's types that LibTorch computes with.
struct TensorType {
  char kind;
  int bytes;
  at::ScalarType type;
};
constexpr TensorType kTensorTypes[] = {
    {'f', 4, at::kFloat}, {'f', 8, at::kDouble}, {'f', 2, at::kHalf},
    {'i', 1, at::kChar},  {'i', 2, at::kShort},  {'i', 4, at::kInt},
    {'i', 8, at::kLong},  {'u', 1, at::kByte},   {'b', 1, at::kBool}};

at::ScalarType tensor_type_of(const NpyArray& array) {
  for (const TensorType& known : kTensorTypes) {
    if (known.kind == array.type.kind && known.bytes == array.type.bytes) return known.type;
  }
  throw Corrupt(fmt::format("{}: expected float16 to float64, int8 to int64, uint8 or bool, found "
                            "uint{}: save it as int64",
                            array.path, 8 * array.type.bytes),
                array.path);
}

}  // namespace

std::string npy_header(at::ScalarType type, const std::vector<std::int64_t>& shape) {
  const auto* const known = std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                                         [&](const TensorType& t) { return t.type == type; });
  if (known == std::end(kTensorTypes)) {
    throw InvalidInput(
        fmt::format("NumPy has no numbers of type {}: use safetensors", at::toString(type)));
  }
  std::string dictionary =
      fmt::format("{{'descr': '{}{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                  known->bytes == 1 ? '|' : '<', known->kind, known->bytes, fmt::join(shape, ", "),
                  shape.size() == 1 ? "," : "");
  constexpr std::size_t kBefore = 10;  // magic, version, length
  constexpr std::size_t kAlignment = 64;
  const std::size_t whole =
      (kBefore + dictionary.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  dictionary.resize(whole - kBefore - 1, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY");
  header += '\x01';
  header += '\0';
  header += static_cast<char>(dictionary.size() & 0xFF);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

void write_npy(const std::filesystem::path& file, const at::Tensor& tensor) {
  const at::Tensor values = tensor.contiguous();
  AtomicFile out(file);
  out.write(npy_header(values.scalar_type(), values.sizes().vec()));
  out.write(std::span(static_cast<const std::byte*>(values.const_data_ptr()),
                      static_cast<std::size_t>(values.nbytes())));
  out.commit();
}

at::Tensor read_npy_tensor(const std::filesystem::path& file) {
  NpyArray array = read_npy(file, {}, NpyShapes::any);
  const at::ScalarType type = tensor_type_of(array);
  // By columns: row by row of the dims in the other order.
  if (array.fortran_order) std::reverse(array.shape.begin(), array.shape.end());
  at::Tensor tensor = at::empty(array.shape, type);
  if (array.values.size() > 0) {
    std::memcpy(tensor.mutable_data_ptr(), array.values.data(), array.values.size());
  }
  if (!array.fortran_order) return tensor;
  std::vector<std::int64_t> dims(array.shape.size());
  std::iota(dims.rbegin(), dims.rend(), 0);
  return tensor.permute(dims).contiguous();
}

}  // namespace shoal
