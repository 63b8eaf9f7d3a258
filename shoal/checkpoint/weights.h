// Weights without a run: what `shoal checkpoint export` writes, and what training may begin with.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shoal/checkpoint/checkpoint.h"

namespace shoal {

// Named tensors in files: a .safetensors file, a folder of NAME.npy files, or a checkpoint, of
// which the parameters and buffers count.
class Weights {
 public:
  // Throws InvalidInput for anything else, Corrupt for what is damaged.
  explicit Weights(std::filesystem::path path);
  ~Weights();
  Weights(Weights&&) noexcept;

  const std::filesystem::path& path() const { return path_; }
  bool is_checkpoint() const;
  std::vector<std::string> names() const;  // ascending
  std::vector<std::int64_t> shape(const std::string& name) const;
  at::Tensor tensor(const std::string& name) const;  // reads it

 private:
  class Source;
  class SafetensorsFile;
  class NpyFolder;
  class OfCheckpoint;
  std::filesystem::path path_;
  std::unique_ptr<Source> source_;
};

// What a model has: its parameters and buffers by name.
using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// A sentence for each tensor of the model that is missing, or has another shape, and one for those
// that the model does not have; empty when they fit.
std::vector<std::string> problems_of(const Weights& weights, const Shapes& model);

// Fills the tensors, which are of the model; floating-point numbers are converted to their type.
// Throws InvalidInput for integers in place of them, Corrupt for damaged files.
void load(const Weights& weights, std::vector<PersistentTensor>& tensors);

// All parameters and buffers of a checkpoint, without optimizer states. Checksums are compared.
// A file is replaced when it is complete; a folder must not be there, and appears complete.
// Throw InvalidInput, Corrupt.
void export_safetensors(const Checkpoint& checkpoint, const std::filesystem::path& file);
void export_npy(const Checkpoint& checkpoint, const std::filesystem::path& folder);

}  // namespace shoal
