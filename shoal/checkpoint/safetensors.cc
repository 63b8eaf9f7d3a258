#include "shoal/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the format's own limit
static_assert(std::endian::native == std::endian::little, "tensors are written as they lie");

constexpr std::array kTypeNames{
    std::pair{"F32", ElementType::float32}, std::pair{"F64", ElementType::float64},
    std::pair{"F16", ElementType::float16}, std::pair{"BF16", ElementType::bfloat16},
    std::pair{"I8", ElementType::int8},     std::pair{"I16", ElementType::int16},
    std::pair{"I32", ElementType::int32},   std::pair{"I64", ElementType::int64},
    std::pair{"U8", ElementType::uint8},    std::pair{"BOOL", ElementType::boolean}};

std::string type_name(ElementType type) {
  for (const auto& [name, known] : kTypeNames) {
    if (known == type) return name;
  }
  return "?";
}

std::optional<ElementType> type_of(const std::string& name) {
  for (const auto& [known, type] : kTypeNames) {
    if (known == name) return type;
  }
  return std::nullopt;
}

class HeaderReader {
 public:
  explicit HeaderReader(const std::filesystem::path& file) : file_(file) {}

  SafetensorsHeader read() {
    std::ifstream stream(file_, std::ios::binary);
    if (!stream) throw InvalidInput(fmt::format("{} cannot be opened", file_.string()));
    std::error_code failure;
    const std::uint64_t size = std::filesystem::file_size(file_, failure);
    if (failure || size < 8) refuse("is shorter than the 8 bytes that give its header's length");
    std::uint64_t length = 0;
    stream.read(reinterpret_cast<char*>(&length), sizeof length);
    if (length > kMostHeaderBytes || length > size - 8) {
      refuse(fmt::format("says that its header has {} bytes, but the file has {}", length, size));
    }
    std::string text(length, '\0');
    if (!stream.read(text.data(), static_cast<std::streamsize>(length))) {
      refuse("ends inside its header");
    }
    SafetensorsHeader header = parse(text);
    header.data_start = 8 + length;
    require_exact_cover(header, size - header.data_start);
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Corrupt(
        fmt::format("{} {}: it is damaged or not a safetensors file", file_.string(), what),
        file_.string());
  }

  nlohmann::json parse_unique_keys(const std::string& text) const {
    std::vector<std::set<std::string>> seen;
    std::string twice;
    const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      if (event == nlohmann::json::parse_event_t::object_start) seen.emplace_back();
      if (event == nlohmann::json::parse_event_t::object_end) seen.pop_back();
      if (event == nlohmann::json::parse_event_t::key) {
        const auto key = value.get<std::string>();
        if (!seen.back().insert(key).second) twice = key;
      }
      return true;
    };
    nlohmann::json json;
    try {
      json = nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::exception&) {
      refuse("has a header that is not JSON");
    }
    if (!twice.empty()) refuse(fmt::format("names '{}' twice", twice));
    if (!json.is_object()) refuse("has a header that is not a JSON object");
    return json;
  }

  SafetensorsHeader parse(const std::string& text) const {
    if (text.empty() || text.front() != '{') refuse("has a header that does not begin with '{'");
    const nlohmann::json json = parse_unique_keys(text);
    SafetensorsHeader header;
    for (const auto& [name, value] : json.items()) {
      try {
        if (name == "__metadata__") {
          header.metadata = value.get<std::map<std::string, std::string>>();
        } else {
          header.entries.push_back(entry(name, value));
        }
      } catch (const nlohmann::json::exception&) {
        refuse(fmt::format("describes '{}' in another form than the format's", name));
      }
    }
    std::sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    return header;
  }

  SafetensorsEntry entry(const std::string& name, const nlohmann::json& value) const {
    const auto type = type_of(value.at("dtype").get<std::string>());
    if (!type) refuse(fmt::format("gives '{}' the type {}", name, value.at("dtype").dump()));
    SafetensorsEntry entry{.name = name, .type = *type, .shape = {}, .begin = 0, .end = 0};
    if (!value.at("shape").is_array()) refuse(fmt::format("gives '{}' a bad shape", name));
    std::int64_t bytes = static_cast<std::int64_t>(size_of(*type));
    std::int64_t strides = bytes;  // an extent of 0 does not hide what overflows beside it
    for (const auto& extent : value.at("shape")) {
      if (!extent.is_number_unsigned()) refuse(fmt::format("gives '{}' a bad shape", name));
      const auto size = extent.get<std::uint64_t>();
      if (__builtin_mul_overflow(strides, std::max<std::uint64_t>(size, 1), &strides)) {
        refuse(fmt::format("gives '{}' a shape beyond all memory", name));
      }
      bytes *= static_cast<std::int64_t>(size);
      entry.shape.push_back(static_cast<std::int64_t>(size));
    }
    const auto& offsets = value.at("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      refuse(fmt::format("gives '{}' bad offsets", name));
    }
    entry.begin = offsets[0].get<std::uint64_t>();
    entry.end = offsets[1].get<std::uint64_t>();
    if (entry.begin > entry.end || entry.end - entry.begin != static_cast<std::uint64_t>(bytes)) {
      refuse(fmt::format("gives '{}' {} to {}, but its shape takes {} bytes", name, entry.begin,
                         entry.end, bytes));
    }
    return entry;
  }

  void require_exact_cover(const SafetensorsHeader& header, std::uint64_t data_bytes) const {
    std::uint64_t covered = 0;
    for (const auto& entry : header.entries) {
      if (entry.begin != covered) {
        refuse(fmt::format("has a {} before '{}' at byte {} of its data",
                           entry.begin > covered ? "hole" : "overlap", entry.name, entry.begin));
      }
      covered = entry.end;
    }
    if (covered != data_bytes) {
      refuse(fmt::format("should hold {} bytes of data, but holds {}", covered, data_bytes));
    }
  }

  std::filesystem::path file_;
};

}  // namespace

std::string safetensors_header(const std::vector<SafetensorsEntry>& entries,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  for (const auto& entry : entries) {
    json[entry.name] = {{"dtype", type_name(entry.type)},
                        {"shape", entry.shape},
                        {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = json.dump();
  constexpr std::size_t kAlignment = 64;
  text.resize((text.size() + 8 + kAlignment - 1) / kAlignment * kAlignment - 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + text;
}

SafetensorsHeader read_safetensors_header(const std::filesystem::path& file) {
  return HeaderReader(file).read();
}

}  // namespace shoal
