// The index of a checkpoint: what its slices are and where they lie.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

// A part of a tensor in one file. Today every slice is a whole tensor: its box is its shape.
struct SliceRecord {
  std::string name;
  std::string role;  // "parameter", "buffer", "optimizer"
  ElementType type = ElementType::float32;
  std::vector<std::int64_t> shape;                         // of the whole tensor
  std::vector<std::pair<std::int64_t, std::int64_t>> box;  // begin and end in each dimension
  std::string file;
  std::uint64_t begin = 0;  // of the file's bytes
  std::uint64_t end = 0;
  std::uint32_t crc32c = 0;
};

constexpr int kCheckpointVersion = 1;

nlohmann::json to_json(const SliceRecord& slice);
// Throws Corrupt naming `source`, also when the file is not one beside the index.
SliceRecord slice_from_json(const nlohmann::json& json, const std::string& source);

// CRC-32C of an index without its own field "crc32c".
std::uint32_t index_checksum(nlohmann::json index);

std::filesystem::path step_folder(const std::filesystem::path& path, std::int64_t step);
// The step of a folder named step-NNNNNNNN, -1 for any other name.
std::int64_t step_of_folder(const std::filesystem::path& folder);
// step-* below `path`, newest first.
std::vector<std::filesystem::path> step_folders(const std::filesystem::path& path);

std::string slices_file(int rank);   // "rank-0003.safetensors"
std::string records_file(int rank);  // "rank-0003.json", until the index takes its content

}  // namespace shoal
