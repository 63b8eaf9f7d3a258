#include "shoal/data/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "shoal/core/error.h"

namespace shoal {
namespace {

using Magic = std::array<std::uint8_t, 4>;

std::optional<ElementType> type_of_code(std::uint8_t code) {
  switch (code) {
    case 0x08:
      return ElementType::uint8;
    case 0x09:
      return ElementType::int8;
    case 0x0B:
      return ElementType::int16;
    case 0x0C:
      return ElementType::int32;
    case 0x0D:
      return ElementType::float32;
    case 0x0E:
      return ElementType::float64;
    default:
      return std::nullopt;
  }
}

std::uint32_t big_endian(const std::uint8_t* b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

[[noreturn]] void corrupt(const std::string& path, std::uint64_t byte, std::string_view expected,
                          std::string_view found) {
  throw Corrupt(fmt::format("{}: byte {}: expected {}, found {}", path, byte, expected, found),
                path);
}

ElementType checked_magic(const Magic& magic, const std::string& path, const IdxRole& role) {
  const std::string found = fmt::format("0x{:08x}", big_endian(magic.data()));
  if (magic[0] != 0 || magic[1] != 0) {
    const bool swapped = magic[3] == 0 && magic[2] == 0 && type_of_code(magic[1]);
    corrupt(path, 0, fmt::format("an IDX file of {} (two zero bytes first)", role.name),
            found + (swapped ? ": its bytes are swapped, it must be big-endian" : ""));
  }
  const auto type = type_of_code(magic[2]);
  if (!type) {
    corrupt(path, 2, "an element type of 08, 09, 0b, 0c, 0d or 0e",
            fmt::format("{:02x}", magic[2]));
  }
  if (magic[3] < role.least_dimensions || magic[3] > role.most_dimensions) {
    const std::string wanted =
        role.least_dimensions == role.most_dimensions
            ? fmt::format("{}", role.least_dimensions)
            : fmt::format("{} to {}", role.least_dimensions, role.most_dimensions);
    corrupt(
        path, 3, fmt::format("{} dimensions for {}", wanted, role.name),
        fmt::format("{}{}", magic[3], magic[3] == 0 ? "" : ": is it the file of another role?"));
  }
  return *type;
}

// Bytes of the values; every factor has 32 bits, so the product is checked at each step.
std::uint64_t checked_size(const IdxArray& array, const ByteSource& source) {
  std::uint64_t bytes = size_of(array.type);
  const std::uint64_t limit = source.largest_size();
  for (std::size_t i = 0; i < array.shape.size(); ++i) {
    const auto extent = static_cast<std::uint64_t>(array.shape[i]);
    const std::uint64_t at = 4 + 4 * i;
    if (extent == 0) corrupt(source.path(), at, "a size of 1 or more", "0");
    if (bytes > limit / extent) {
      corrupt(source.path(), at,
              fmt::format("sizes of at most {} bytes, which is all the file can hold", limit),
              fmt::format("{}", fmt::join(array.shape, " x ")));
    }
    bytes *= extent;
  }
  return bytes;
}

void swap_bytes(std::span<std::byte> values, std::size_t width) {
  if (width == 1 || std::endian::native == std::endian::big) return;
  for (std::size_t i = 0; i + width <= values.size(); i += width) {
    std::reverse(values.begin() + static_cast<std::ptrdiff_t>(i),
                 values.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
}

template <typename From, typename To>
void convert(const AlignedBytes& from, std::span<To> to) {
  const auto source = from.as<From>();
  // Bytes with a sign are numbers here. NOLINTNEXTLINE(bugprone-signed-char-misuse)
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<To>(source[i]);
}

// All elements as To. `array.type` is one of the six that IDX has.
template <typename To>
void convert_values(const IdxArray& array, std::span<To> to) {
  switch (array.type) {
    case ElementType::uint8:
      return convert<std::uint8_t>(array.values, to);
    case ElementType::int8:
      return convert<std::int8_t>(array.values, to);
    case ElementType::int16:
      return convert<std::int16_t>(array.values, to);
    case ElementType::int32:
      return convert<std::int32_t>(array.values, to);
    case ElementType::float32:
      return convert<float>(array.values, to);
    case ElementType::float64:
      return convert<double>(array.values, to);
    case ElementType::float16:
    case ElementType::bfloat16:
    case ElementType::int64:
    case ElementType::boolean:
      break;
  }
}

std::vector<std::int64_t> read_labels(const std::filesystem::path& path, std::int64_t classes,
                                      std::stop_token stop) {
  const IdxArray array = read_idx(
      path, {.name = "labels", .least_dimensions = 1, .most_dimensions = 1}, std::move(stop));
  if (array.type == ElementType::float32 || array.type == ElementType::float64) {
    corrupt(path.string(), 2, "labels that are whole numbers (08, 09, 0b or 0c)",
            name_of(array.type));
  }
  std::vector<std::int64_t> labels(static_cast<std::size_t>(array.shape[0]));
  convert_values<std::int64_t>(array, labels);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= 0 && (classes == 0 || labels[i] < classes)) continue;
    corrupt(path.string(), static_cast<std::uint64_t>(array.header_bytes) + i * size_of(array.type),
            classes == 0 ? "a label of 0 or more" : fmt::format("a label of 0 to {}", classes - 1),
            fmt::format("{}", labels[i]));
  }
  return labels;
}

IdxRole images_role() { return {.name = "images", .least_dimensions = 2, .most_dimensions = 4}; }

// Everything but the values.
IdxArray read_header(ByteSource& source, const IdxRole& role) {
  Magic magic{};
  source.read_exactly(std::as_writable_bytes(std::span(magic)), "IDX magic");
  IdxArray array;
  array.type = checked_magic(magic, source.path(), role);
  for (int i = 0; i < magic[3]; ++i) {
    std::array<std::uint8_t, 4> size{};
    source.read_exactly(std::as_writable_bytes(std::span(size)), "an IDX size");
    array.shape.push_back(big_endian(size.data()));
  }
  array.header_bytes = 4 + 4 * std::int64_t{magic[3]};
  return array;
}

// Pictures without channels have one.
std::vector<std::int64_t> sample_shape_of(const IdxArray& images) {
  std::vector<std::int64_t> shape(images.shape.begin() + 1, images.shape.end());
  if (shape.size() == 2) shape.insert(shape.begin(), 1);
  return shape;
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, const IdxRole& role, std::stop_token stop) {
  return read_idx(*open_source(path, std::move(stop)), role);
}

IdxArray read_idx(ByteSource& source, const IdxRole& role) {
  IdxArray array = read_header(source, role);
  array.values.resize(checked_size(array, source));
  source.read_exactly(array.values.bytes(), "IDX values");
  source.expect_end(fmt::format("{} values", fmt::join(array.shape, " x ")));
  swap_bytes(array.values.bytes(), size_of(array.type));
  return array;
}

Samples read_idx_inputs(const std::filesystem::path& images, std::stop_token stop) {
  IdxArray array = read_idx(images, images_role(), std::move(stop));
  Samples samples;
  samples.count = array.shape[0];
  samples.shape = sample_shape_of(array);
  if (array.type == ElementType::uint8 || array.type == ElementType::float32) {
    samples.type = array.type;
    samples.values = std::move(array.values);
  } else {
    samples.type = ElementType::float32;
    samples.values.resize(static_cast<std::size_t>(samples.count * samples.elements()) *
                          sizeof(float));
    convert_values<float>(array, samples.values.as<float>());
  }
  return samples;
}

Samples read_idx_samples(const std::filesystem::path& images, const std::filesystem::path& labels,
                         std::int64_t classes, std::stop_token stop) {
  std::vector<std::int64_t> read = read_labels(labels, classes, stop);
  Samples samples = read_idx_inputs(images, std::move(stop));
  if (samples.count != static_cast<std::int64_t>(read.size())) {
    throw InvalidInput(
        fmt::format("{} has {} samples, but {} has {} labels: they do not belong "
                    "together",
                    images.string(), samples.count, labels.string(), read.size()));
  }
  samples.labels = std::move(read);
  samples.answers.classes =
      classes > 0 ? classes : 1 + *std::max_element(samples.labels.begin(), samples.labels.end());
  return samples;
}

std::vector<std::int64_t> read_idx_sample_shape(const std::filesystem::path& images) {
  const auto source = open_source(images);
  const IdxArray header = read_header(*source, images_role());
  (void)checked_size(header, *source);
  return sample_shape_of(header);
}

std::filesystem::path find_idx_file(const std::filesystem::path& folder,
                                    const std::vector<std::string>& prefixes) {
  std::error_code error;
  std::set<std::string> found;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool fits = std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) {
      return name.starts_with(prefix);
    });
    if (fits) found.insert(name);
  }
  if (error) {
    throw InvalidInput(
        fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  }
  std::erase_if(found, [&](const std::string& name) {
    return name.ends_with(".gz") && found.contains(name.substr(0, name.size() - 3));
  });
  if (found.size() == 1) return folder / *found.begin();
  throw InvalidInput(
      fmt::format("{}: expected one file whose name begins with {}, found {}", folder.string(),
                  fmt::join(prefixes, " or "),
                  found.empty() ? "none" : fmt::format("{}", fmt::join(found, " and "))));
}

}  // namespace shoal
