// The safetensors file format: u64 little-endian N, N bytes of JSON, then the tensors' bytes.
// Layout and limits as in the format's own specification (huggingface/safetensors, README).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

struct SafetensorsEntry {
  std::string name;
  ElementType type = ElementType::float32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // from the start of the data, not of the file
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in order of `begin`: no hole, no overlap
  std::map<std::string, std::string> metadata;
  std::uint64_t data_start = 0;  // offset in the file
};

// The bytes that stand before the data; begin and end of the entries are as given. The data start
// on a multiple of 64.
std::string safetensors_header(const std::vector<SafetensorsEntry>& entries,
                               const std::map<std::string, std::string>& metadata);

// Reads and checks the header of a file: lengths against the file's size before allocating, types,
// shapes, that the entries cover the data exactly once. Throws Corrupt naming file, entry and what
// was expected; InvalidInput when the file cannot be opened.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& file);

}  // namespace shoal
