#include "shoal/checkpoint/checkpoint.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "shoal/checkpoint/index.h"
#include "shoal/checkpoint/safetensors.h"
#include "shoal/core/digest.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/tensor/element_types.h"

namespace shoal {

struct CheckpointIndex {
  std::int64_t step = 0;
  nlohmann::json facts;
  std::map<std::string, SliceRecord> slices;  // by name
};

namespace {

[[noreturn]] void corrupt(const std::filesystem::path& file, const std::string& what) {
  throw Corrupt(fmt::format("{} {}", file.string(), what), file.string());
}

nlohmann::json parse_index(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    corrupt(file.parent_path(), "has no index.json: it was never completed");
  }
  nlohmann::json json = nlohmann::json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("format") || json["format"] != "shoal checkpoint") {
    corrupt(file, "is not the index of a shoal checkpoint");
  }
  const nlohmann::json version = json.contains("version") ? json["version"] : nlohmann::json();
  if (version != kCheckpointVersion) {
    throw InvalidInput(fmt::format("{} has version {}, this shoal reads version {}", file.string(),
                                   version.dump(), kCheckpointVersion));
  }
  for (const char* part : {"slices", "facts", "step"}) {
    if (!json.contains(part)) corrupt(file, fmt::format("lacks its part '{}'", part));
  }
  // One that somebody edited may leave its checksum out.
  if (json.contains("crc32c") && json["crc32c"] != index_checksum(json)) {
    corrupt(file, "was altered (checksum differs)");
  }
  return json;
}

// Each file of slices has the entries that the index says, byte for byte in the same place.
void require_file(const std::filesystem::path& file,
                  const std::vector<const SliceRecord*>& slices) {
  if (!std::filesystem::exists(file)) corrupt(file, "is missing");
  const SafetensorsHeader header = read_safetensors_header(file);
  std::map<std::string, const SafetensorsEntry*> entries;
  for (const auto& entry : header.entries) entries[entry.name] = &entry;
  for (const SliceRecord* slice : slices) {
    const auto entry = entries.find(slice->name);
    if (entry == entries.end()) corrupt(file, fmt::format("lacks '{}'", slice->name));
    if (entry->second->begin + header.data_start != slice->begin ||
        entry->second->end + header.data_start != slice->end ||
        entry->second->shape != slice->shape || entry->second->type != slice->type) {
      corrupt(file, fmt::format("holds '{}' otherwise than its index says", slice->name));
    }
  }
}

void require_whole_box(const std::filesystem::path& folder, const SliceRecord& slice) {
  bool whole = slice.box.size() == slice.shape.size();
  for (std::size_t i = 0; whole && i < slice.box.size(); ++i) {
    whole = slice.box[i] == std::pair<std::int64_t, std::int64_t>{0, slice.shape[i]};
  }
  if (!whole) corrupt(folder, fmt::format("does not cover '{}' once", slice.name));
}

// An open file that closes itself.
class InputFile {
 public:
  explicit InputFile(std::filesystem::path path)
      : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) {
      throw InvalidInput(
          fmt::format("{} cannot be opened: {}", path_.string(), std::strerror(errno)));
    }
  }
  ~InputFile() { close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  void read(std::uint64_t offset, std::span<std::byte> into) const {
    while (!into.empty()) {
      const ssize_t got = pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) corrupt(path_, fmt::format("ends at byte {}", offset));
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
  }

 private:
  std::filesystem::path path_;
  int fd_;
};

std::span<std::byte> memory_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()),
          static_cast<std::size_t>(tensor.nbytes())};
}

at::Tensor read_slice(const std::filesystem::path& folder, const SliceRecord& slice) {
  at::Tensor tensor = at::empty(slice.shape, scalar_type(slice.type));
  const std::filesystem::path file = folder / slice.file;
  InputFile(file).read(slice.begin, memory_of(tensor));
  if (crc32c(memory_of(tensor)) != slice.crc32c) {
    corrupt(file, fmt::format("holds altered bytes of '{}' (checksum differs)", slice.name));
  }
  return tensor;
}

std::shared_ptr<const CheckpointIndex> read_index(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "index.json";
  const nlohmann::json json = parse_index(file);
  auto index = std::make_shared<CheckpointIndex>();
  std::map<std::string, std::vector<const SliceRecord*>> by_file;
  try {
    index->step = json.at("step").get<std::int64_t>();
    index->facts = json.at("facts");
    for (const auto& record : json.at("slices")) {
      SliceRecord slice = slice_from_json(record, file.string());
      require_whole_box(folder, slice);
      const auto [place, is_new] = index->slices.emplace(slice.name, slice);
      if (!is_new) corrupt(folder, fmt::format("covers '{}' more than once", slice.name));
      by_file[slice.file].push_back(&place->second);
    }
  } catch (const nlohmann::json::exception& error) {
    corrupt(file, fmt::format("has a part in another form: {}", error.what()));
  }
  for (const auto& [name, slices] : by_file) require_file(folder / name, slices);
  return index;
}

}  // namespace

std::vector<std::string> CheckpointOptions::problems() const {
  std::vector<std::string> faults;
  if (every_steps < 0) {
    faults.push_back(fmt::format("[checkpoint] every_steps is {}: give 0 or more", every_steps));
  }
  if (keep < 1) faults.push_back(fmt::format("[checkpoint] keep is {}: give 1 or more", keep));
  if (path.empty() && every_steps > 0) {
    faults.push_back("[checkpoint] every_steps needs a path to write to");
  }
  return faults;
}

OptionTable describe(CheckpointOptions& o) {
  return {"checkpoint",
          "Where the state of training is kept.",
          {
              option("path", o.path, "Folder; empty: no checkpoints."),
              option("every_steps", o.every_steps,
                     "Steps between checkpoints; 0: one at the end, and when stopped."),
              option("keep", o.keep, "Newest complete checkpoints that are kept."),
          }};
}

Checkpoint::Checkpoint(const std::filesystem::path& folder) : folder_(folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw InvalidInput(
        fmt::format("{} is no checkpoint: there is no such folder", folder.string()));
  }
  index_ = read_index(folder);
}

std::int64_t Checkpoint::step() const { return index_->step; }
const nlohmann::json& Checkpoint::facts() const { return index_->facts; }

std::vector<std::string> Checkpoint::names(const std::string& role) const {
  std::vector<std::string> names;
  for (const auto& [name, slice] : index_->slices) {
    if (slice.role == role) names.push_back(name);
  }
  return names;
}

void Checkpoint::load(std::vector<PersistentTensor>& tensors) const {
  std::vector<std::string> faults;
  for (const PersistentTensor& wanted : tensors) {
    const auto found = index_->slices.find(wanted.name);
    if (found == index_->slices.end()) {
      faults.push_back(fmt::format("checkpoint {} is of another model: it has no '{}'",
                                   folder_.string(), wanted.name));
      continue;
    }
    const SliceRecord& slice = found->second;
    if (slice.shape != wanted.tensor.sizes().vec() ||
        slice.type != element_type(wanted.tensor.scalar_type())) {
      faults.push_back(fmt::format(
          "checkpoint {} is of another model: its '{}' is {} [{}], the model's is {} [{}]",
          folder_.string(), wanted.name, name_of(slice.type), fmt::join(slice.shape, ", "),
          name_of(element_type(wanted.tensor.scalar_type())),
          fmt::join(wanted.tensor.sizes().vec(), ", ")));
    }
  }
  require_none(std::move(faults));
  const at::NoGradGuard no_grad;
  for (PersistentTensor& wanted : tensors) wanted.tensor.copy_(tensor(wanted.name));
}

const SliceRecord& Checkpoint::slice(const std::string& name) const {
  const auto found = index_->slices.find(name);
  if (found == index_->slices.end()) {
    throw InvalidInput(fmt::format("checkpoint {} has no tensor '{}'", folder_.string(), name));
  }
  return found->second;
}

std::vector<std::int64_t> Checkpoint::shape(const std::string& name) const {
  return slice(name).shape;
}

at::ScalarType Checkpoint::type(const std::string& name) const {
  return scalar_type(slice(name).type);
}

at::Tensor Checkpoint::tensor(const std::string& name) const {
  return read_slice(folder_, slice(name));
}

void Checkpoint::verify() const {
  for (const auto& [name, slice] : index_->slices) (void)read_slice(folder_, slice);
}

FoundCheckpoint find_newest(const std::filesystem::path& path) {
  FoundCheckpoint found;
  for (const auto& folder : step_folders(path)) {
    try {
      Checkpoint(folder).verify();
      found.newest = folder;
      return found;
    } catch (const Error& error) {
      found.skipped.push_back(
          fmt::format("skipped checkpoint {}: {}", folder.string(), error.what()));
    }
  }
  return found;
}

std::vector<TensorDifference> difference(const Checkpoint& a, const Checkpoint& b) {
  std::set<std::string> in_a, in_b, all;
  for (const char* role : {"parameter", "buffer", "optimizer"}) {
    for (const auto& name : a.names(role)) in_a.insert(name);
    for (const auto& name : b.names(role)) in_b.insert(name);
  }
  std::set_union(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), std::inserter(all, all.end()));
  std::vector<TensorDifference> differences;
  for (const auto& name : all) {
    TensorDifference& entry = differences.emplace_back(TensorDifference{.name = name, .note = {}});
    if (!in_b.contains(name)) entry.note = "only in the first";
    if (!in_a.contains(name)) entry.note = "only in the second";
    if (!entry.note.empty()) continue;
    const at::Tensor left = a.tensor(name), right = b.tensor(name);
    if (left.sizes() != right.sizes()) {
      entry.note = "other shape";
      continue;
    }
    if (left.numel() == 0) continue;
    const at::Tensor gap = (left.to(at::kDouble) - right.to(at::kDouble)).abs();
    entry.largest = gap.max().item<double>();
    const double norm = left.to(at::kDouble).norm().item<double>();
    entry.relative_norm = norm > 0 ? gap.norm().item<double>() / norm : 0;
  }
  return differences;
}

}  // namespace shoal
