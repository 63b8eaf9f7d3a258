#include "shoal/checkpoint/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "shoal/core/digest.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr int kTypeCount = static_cast<int>(ElementType::boolean) + 1;

ElementType type_named(const std::string& name, const std::string& source) {
  for (int i = 0; i < kTypeCount; ++i) {
    if (name_of(static_cast<ElementType>(i)) == name) return static_cast<ElementType>(i);
  }
  throw Corrupt(fmt::format("{} names the unknown type '{}'", source, name), source);
}

}  // namespace

nlohmann::json to_json(const SliceRecord& slice) {
  return {{"name", slice.name},   {"role", slice.role}, {"type", name_of(slice.type)},
          {"shape", slice.shape}, {"box", slice.box},   {"file", slice.file},
          {"begin", slice.begin}, {"end", slice.end},   {"crc32c", slice.crc32c}};
}

SliceRecord slice_from_json(const nlohmann::json& json, const std::string& source) {
  try {
    SliceRecord slice;
    json.at("name").get_to(slice.name);
    json.at("role").get_to(slice.role);
    slice.type = type_named(json.at("type").get<std::string>(), source);
    json.at("shape").get_to(slice.shape);
    json.at("box").get_to(slice.box);
    json.at("file").get_to(slice.file);
    json.at("begin").get_to(slice.begin);
    json.at("end").get_to(slice.end);
    json.at("crc32c").get_to(slice.crc32c);
    if (std::filesystem::path(slice.file).filename() != slice.file || slice.file == "..") {
      throw Corrupt(fmt::format("{} names '{}', which is no file beside it", source, slice.file),
                    source);
    }
    return slice;
  } catch (const nlohmann::json::exception& error) {
    throw Corrupt(fmt::format("{} describes a slice in another form: {}", source, error.what()),
                  source);
  }
}

std::uint32_t index_checksum(nlohmann::json index) {
  index.erase("crc32c");
  const std::string text = index.dump();
  return crc32c(std::as_bytes(std::span(text)));
}

std::filesystem::path step_folder(const std::filesystem::path& path, std::int64_t step) {
  return path / fmt::format("{}{:08}", kStepPrefix, step);
}

std::int64_t step_of_folder(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kStepPrefix)) return -1;
  const std::string digits = name.substr(kStepPrefix.size());
  const bool is_number = !digits.empty() && digits.size() < 18 &&
                         std::all_of(digits.begin(), digits.end(),
                                     [](unsigned char c) { return std::isdigit(c) != 0; });
  return is_number ? std::stoll(digits) : -1;
}

std::vector<std::filesystem::path> step_folders(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> folders;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(path, failure)) {
    if (entry.is_directory() && step_of_folder(entry.path()) >= 0) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end(),
            [](const auto& a, const auto& b) { return step_of_folder(a) > step_of_folder(b); });
  return folders;
}

std::string slices_file(int rank) { return fmt::format("rank-{:04}.safetensors", rank); }
std::string records_file(int rank) { return fmt::format("rank-{:04}.json", rank); }

}  // namespace shoal
