#include "shoal/checkpoint/npy.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstring>
#include <string_view>

#include "shoal/core/error.h"
#include "shoal/core/file.h"

namespace shoal {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct NpyType {
  const char* name;
  at::ScalarType type;
};
constexpr NpyType kNpyTypes[] = {{"<f4", at::kFloat}, {"<f8", at::kDouble}, {"<f2", at::kHalf},
                                 {"|i1", at::kChar},  {"<i2", at::kShort},  {"<i4", at::kInt},
                                 {"<i8", at::kLong},  {"|u1", at::kByte},   {"|b1", at::kBool}};

// Reads the dictionary, whose form NumPy fixes: {'descr': '<f4', 'fortran_order': False, 'shape':
// (2, 3), }.
class NpyReader {
 public:
  explicit NpyReader(const std::filesystem::path& file) : file_(file), content_(read_file(file)) {}

  at::Tensor read() {
    const std::string_view header = take_header();
    const std::string descr = quoted_after(header, "'descr':");
    const at::ScalarType type = type_called(descr);
    const bool by_columns = after(header, "'fortran_order':").starts_with("True");
    std::vector<std::int64_t> shape = shape_in(after(header, "'shape':"));
    require_bytes(shape, at::elementSize(type));
    if (by_columns) std::reverse(shape.begin(), shape.end());
    const at::Tensor tensor = at::empty(shape, type);
    std::memcpy(tensor.mutable_data_ptr(), rest_.data(), rest_.size());
    return by_columns ? tensor.permute(reversed_dims(shape.size())).contiguous() : tensor;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Corrupt(fmt::format("{} {}", file_.string(), what), file_.string());
  }

  std::string_view take_header() {
    std::string_view text = content_;
    if (!text.starts_with(kMagic) || text.size() < kMagic.size() + 4) {
      refuse("is no array of NumPy: it does not begin with its magic");
    }
    const int version = static_cast<unsigned char>(text[kMagic.size()]);
    if (version < 1 || version > 3) refuse(fmt::format("has the version {} of .npy", version));
    text.remove_prefix(kMagic.size() + 2);
    const std::size_t bytes = version == 1 ? 2 : 4;
    if (text.size() < bytes) refuse("ends inside its header");
    std::size_t length = 0;
    for (std::size_t i = bytes; i-- > 0;) {
      length = length << 8 | static_cast<unsigned char>(text[i]);
    }
    text.remove_prefix(bytes);
    if (length > text.size()) refuse("ends inside its header");
    rest_ = text.substr(length);
    return text.substr(0, length);
  }

  std::string_view after(std::string_view header, std::string_view key) const {
    const std::size_t at = header.find(key);
    if (at == std::string_view::npos) refuse(fmt::format("has a header without {}", key));
    header.remove_prefix(at + key.size());
    while (header.starts_with(' ')) header.remove_prefix(1);
    return header;
  }

  std::string quoted_after(std::string_view header, std::string_view key) const {
    const std::string_view text = after(header, key);
    const std::size_t end = text.find('\'', 1);
    if (!text.starts_with('\'') || end == std::string_view::npos) {
      refuse("holds no plain numbers: save one array of numbers");
    }
    return std::string(text.substr(1, end - 1));
  }

  at::ScalarType type_called(const std::string& name) const {
    for (const NpyType& known : kNpyTypes) {
      if (name == known.name) return known.type;
    }
    std::string names;
    for (const NpyType& known : kNpyTypes) names += fmt::format(" {}", known.name);
    refuse(fmt::format("holds numbers of type {}: save it as one of{}", name, names));
  }

  std::vector<std::int64_t> shape_in(std::string_view text) const {
    const std::size_t end = text.find(')');
    if (!text.starts_with('(') || end == std::string_view::npos) refuse("has no shape");
    text = text.substr(1, end - 1);
    std::vector<std::int64_t> shape;
    while (!text.empty()) {
      if (text.front() == ' ' || text.front() == ',') {
        text.remove_prefix(1);
        continue;
      }
      std::int64_t extent = -1;
      const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
      if (error != std::errc() || extent < 0) refuse("has a bad shape");
      shape.push_back(extent);
      text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    }
    return shape;
  }

  void require_bytes(const std::vector<std::int64_t>& shape, std::size_t of_one) const {
    std::int64_t bytes = static_cast<std::int64_t>(of_one);
    bool fits = true;
    for (const std::int64_t extent : shape) {
      fits = fits && !__builtin_mul_overflow(bytes, extent, &bytes);
    }
    if (fits && static_cast<std::uint64_t>(bytes) == rest_.size()) return;
    refuse(fmt::format("should hold {} numbers of {} bytes, but holds {} bytes",
                       fmt::join(shape, "x"), of_one, rest_.size()));
  }

  static std::vector<std::int64_t> reversed_dims(std::size_t count) {
    std::vector<std::int64_t> dims;
    for (std::size_t i = count; i-- > 0;) dims.push_back(static_cast<std::int64_t>(i));
    return dims;
  }

  std::filesystem::path file_;
  std::string content_;
  std::string_view rest_;  // the values
};

}  // namespace

std::string npy_header(at::ScalarType type, const std::vector<std::int64_t>& shape) {
  const char* name = nullptr;
  for (const NpyType& known : kNpyTypes) {
    if (known.type == type) name = known.name;
  }
  if (name == nullptr) {
    throw InvalidInput(
        fmt::format("NumPy has no numbers of type {}: use safetensors", at::toString(type)));
  }
  std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", name,
                  fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr std::size_t kBefore = 10;  // magic, version, length
  constexpr std::size_t kAlignment = 64;
  const std::size_t whole =
      (kBefore + dictionary.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  dictionary.resize(whole - kBefore - 1, ' ');
  dictionary += '\n';
  std::string header(kMagic);
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

at::Tensor read_npy(const std::filesystem::path& file) { return NpyReader(file).read(); }

}  // namespace shoal
