// Checkpoints: every rank writes its slices once; the index comes last and makes it complete.
//
//   runs/a/step-00000100/rank-0000.safetensors   parameters, buffers, optimizer states of rank 0
//   runs/a/step-00000100/index.json              version, placements, checksums, resolved plan,
//   counters
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/core/options.h"

namespace shoal {

struct CheckpointOptions {
  std::string path;              // folder; empty: no checkpoints
  std::int64_t every_steps = 0;  // 0: only at the end and when stopped
  std::int64_t keep = 2;         // newest complete ones kept; older ones are removed
  std::vector<std::string> problems() const;
};
OptionTable describe(CheckpointOptions& options);

// A persistent tensor as this rank holds it.
struct PersistentTensor {
  std::string name;  // "0.conv.weight"; optimizer states "0.conv.weight#momentum"
  std::string role;  // "parameter", "buffer", "optimizer"
  at::Tensor tensor;
  std::vector<int> holders;  // world ranks that hold the same values, ascending, ours among them
};

// Which of the holders writes each tensor: spread so that ranks write about equal bytes. Depends on
// the arguments only, so all ranks find the same.
std::vector<int> writers_of(const std::vector<PersistentTensor>& tensors);

// Writes beside training. One thread drives it; the bytes are copied before begin() returns, so
// training goes on with the tensors at once, and a thread of the writer's own writes the copy.
class CheckpointWriter {
 public:
  // Throws InvalidInput when the folder cannot be made or written (tried with a file).
  CheckpointWriter(CheckpointOptions options, int rank, int size);
  ~CheckpointWriter();  // abandons what is not committed

  // Copies the tensors that this rank writes and starts writing them. `facts` (the same on all
  // ranks) goes into the index. Waits for the one before, should it still be under way.
  void begin(std::int64_t step, const std::vector<PersistentTensor>& tensors, nlohmann::json facts);
  // Step whose slices this rank has written completely, to be agreed on; -1 when none is open.
  // Throws what failed in the writer's thread (full disk), naming file and reason.
  std::int64_t written() const;
  // All ranks have written(): the writer's thread of rank 0 writes the index and removes the
  // oldest. Returns at once.
  void commit();
  // The checkpoint of this step stays, beside the newest ones, until another one takes its place.
  void spare(std::int64_t step);
  bool writing() const;  // begun, and not yet complete as far as this rank has to do with it
  // The step that commit() was done with last, on rank 0 with its index on disk; -1 before. Throws
  // as written() does.
  std::int64_t committed() const;
  // Waits until this rank's slices are written, then for all ranks over `world`, then until the
  // index is on disk.
  void finish(Group& world, Deadline deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A complete checkpoint, checked when opened: index version, sizes, that every tensor is covered
// once. Checksums are compared while loading.
class Checkpoint {
 public:
  // Throws Corrupt (torn, truncated, altered) or InvalidInput (missing, another version).
  explicit Checkpoint(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::int64_t step() const;
  const nlohmann::json& facts() const;
  std::vector<std::string> names(const std::string& role) const;  // ascending

  // Of one tensor. Throw InvalidInput when there is none of that name.
  std::vector<std::int64_t> shape(const std::string& name) const;
  at::ScalarType type(const std::string& name) const;

  // Fills the tensors given by name. Throws InvalidInput naming every tensor that is missing here
  // or has another shape or type, Corrupt when bytes do not have their checksum.
  void load(std::vector<PersistentTensor>& tensors) const;
  // One whole tensor.
  at::Tensor tensor(const std::string& name) const;
  // Reads everything and compares all checksums. Throws Corrupt.
  void verify() const;

 private:
  const struct SliceRecord& slice(const std::string& name) const;
  std::filesystem::path folder_;
  std::shared_ptr<const struct CheckpointIndex> index_;
};

struct FoundCheckpoint {
  std::optional<std::filesystem::path> newest;  // complete and whole (checksums compared)
  std::vector<std::string> skipped;             // one sentence each: what was passed over and why
};
// Looks at step-* below `path`, newest first.
FoundCheckpoint find_newest(const std::filesystem::path& path);

struct TensorDifference {
  std::string name;
  std::string note;          // "only in A", "other shape"; empty when compared
  double largest = 0;        // absolute
  double relative_norm = 0;  // |a - b| / |a|
};
std::vector<TensorDifference> difference(const Checkpoint& a, const Checkpoint& b);

}  // namespace shoal
