#include "shoal/checkpoint/weights.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "shoal/checkpoint/npy.h"
#include "shoal/checkpoint/safetensors.h"
#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/tensor/element_types.h"

namespace shoal {
namespace {

// Without the states of optimizers.
std::vector<std::string> weight_names(const Checkpoint& checkpoint) {
  std::vector<std::string> names = checkpoint.names("parameter");
  for (std::string& name : checkpoint.names("buffer")) names.push_back(std::move(name));
  std::sort(names.begin(), names.end());
  return names;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// At most so many in a sentence: the rest is counted.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;
  const auto shown = std::min(names.size(), kMost);
  std::string text = fmt::format("'{}'", fmt::join(names.begin(), names.begin() + shown, "', '"));
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

}  // namespace

class Weights::Source {
 public:
  virtual ~Source() = default;
  virtual std::vector<std::string> names() const = 0;
  virtual std::vector<std::int64_t> shape(const std::string& name) const {
    return tensor(name).sizes().vec();
  }
  virtual at::Tensor tensor(const std::string& name) const = 0;
};

class Weights::SafetensorsFile final : public Source {
 public:
  explicit SafetensorsFile(std::filesystem::path file)
      : file_(std::move(file)), header_(read_safetensors_header(file_)) {}
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const SafetensorsEntry& entry : header_.entries) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    return names;
  }
  std::vector<std::int64_t> shape(const std::string& name) const override {
    return entry(name).shape;
  }
  at::Tensor tensor(const std::string& name) const override {
    const SafetensorsEntry& found = entry(name);
    const at::Tensor tensor = at::empty(found.shape, scalar_type(found.type));
    std::ifstream stream(file_, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(header_.data_start + found.begin));
    stream.read(static_cast<char*>(tensor.mutable_data_ptr()),
                static_cast<std::streamsize>(tensor.nbytes()));
    if (!stream) throw Corrupt(fmt::format("{} ends early", file_.string()), file_.string());
    return tensor;
  }

 private:
  const SafetensorsEntry& entry(const std::string& name) const {
    for (const SafetensorsEntry& one : header_.entries) {
      if (one.name == name) return one;
    }
    throw InvalidInput(fmt::format("{} has no tensor '{}'", file_.string(), name));
  }
  std::filesystem::path file_;
  SafetensorsHeader header_;
};

class Weights::NpyFolder final : public Source {
 public:
  explicit NpyFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == ".npy") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  at::Tensor tensor(const std::string& name) const override {
    return read_npy_tensor(folder_ / (name + ".npy"));
  }

 private:
  std::filesystem::path folder_;
};

class Weights::OfCheckpoint final : public Source {
 public:
  explicit OfCheckpoint(const std::filesystem::path& folder) : checkpoint_(folder) {}
  std::vector<std::string> names() const override { return weight_names(checkpoint_); }
  std::vector<std::int64_t> shape(const std::string& name) const override {
    return checkpoint_.shape(name);
  }
  at::Tensor tensor(const std::string& name) const override { return checkpoint_.tensor(name); }

 private:
  Checkpoint checkpoint_;
};

Weights::Weights(std::filesystem::path path) : path_(std::move(path)) {
  if (std::filesystem::is_regular_file(path_)) {
    source_ = std::make_unique<SafetensorsFile>(path_);
  } else if (std::filesystem::exists(path_ / "index.json")) {
    source_ = std::make_unique<OfCheckpoint>(path_);
  } else if (std::filesystem::is_directory(path_)) {
    source_ = std::make_unique<NpyFolder>(path_);
    if (source_->names().empty()) {
      throw InvalidInput(
          fmt::format("{} holds no weights: expected index.json of a checkpoint, or files NAME.npy",
                      path_.string()));
    }
  } else {
    throw InvalidInput(
        fmt::format("there are no weights {}: name a .safetensors file, a folder of .npy files or "
                    "a checkpoint",
                    path_.string()));
  }
}
Weights::~Weights() = default;
Weights::Weights(Weights&&) noexcept = default;

bool Weights::is_checkpoint() const {
  return dynamic_cast<const OfCheckpoint*>(source_.get()) != nullptr;
}
std::vector<std::string> Weights::names() const { return source_->names(); }
std::vector<std::int64_t> Weights::shape(const std::string& name) const {
  return source_->shape(name);
}
at::Tensor Weights::tensor(const std::string& name) const { return source_->tensor(name); }

std::vector<std::string> problems_of(const Weights& weights, const Shapes& model) {
  std::vector<std::string> faults, extra, missing;
  const std::vector<std::string> names = weights.names();
  for (const std::string& name : names) {
    const auto found = model.find(name);
    if (found == model.end()) {
      extra.push_back(name);
    } else if (const auto shape = weights.shape(name); shape != found->second) {
      faults.push_back(fmt::format("{}: its '{}' is {}, the model's is {}", weights.path().string(),
                                   name, shape_text(shape), shape_text(found->second)));
    }
  }
  for (const auto& [name, shape] : model) {
    if (!std::binary_search(names.begin(), names.end(), name)) missing.push_back(name);
  }
  if (!missing.empty()) {
    faults.push_back(fmt::format("{}: it lacks {}, which the model has", weights.path().string(),
                                 some_of(missing)));
  }
  if (!extra.empty()) {
    faults.push_back(fmt::format("{}: it has {}, which the model lacks", weights.path().string(),
                                 some_of(extra)));
  }
  return faults;
}

void load(const Weights& weights, std::vector<PersistentTensor>& tensors) {
  const at::NoGradGuard no_grad;
  for (PersistentTensor& wanted : tensors) {
    const at::Tensor given = weights.tensor(wanted.name);
    if (wanted.tensor.is_floating_point() != given.is_floating_point()) {
      throw InvalidInput(fmt::format(
          "{}: its '{}' is of type {}, the model's of {}", weights.path().string(), wanted.name,
          at::toString(given.scalar_type()), at::toString(wanted.tensor.scalar_type())));
    }
    wanted.tensor.copy_(given);
  }
}

void export_safetensors(const Checkpoint& checkpoint, const std::filesystem::path& file) {
  std::vector<SafetensorsEntry> entries;
  std::uint64_t end = 0;
  const std::vector<std::string> names = weight_names(checkpoint);
  for (const std::string& name : names) {
    std::uint64_t bytes = at::elementSize(checkpoint.type(name));
    for (const std::int64_t extent : checkpoint.shape(name)) {
      bytes *= static_cast<std::uint64_t>(extent);
    }
    entries.push_back({.name = name,
                       .type = element_type(checkpoint.type(name)),
                       .shape = checkpoint.shape(name),
                       .begin = end,
                       .end = end + bytes});
    end = entries.back().end;
  }
  AtomicFile out(file);
  out.write(safetensors_header(entries, {{"format", "pt"}}));
  for (const std::string& name : names) {
    const at::Tensor tensor = checkpoint.tensor(name).contiguous();
    out.write(std::span(static_cast<const std::byte*>(tensor.const_data_ptr()),
                        static_cast<std::size_t>(tensor.nbytes())));
  }
  out.commit();
}

void export_npy(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder)) {
    throw InvalidInput(
        fmt::format("{} is there already: remove it, or choose another folder", folder.string()));
  }
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  const std::filesystem::path beside =
      whole.parent_path() / fmt::format(".{}.tmp.{}", whole.filename().string(), getpid());
  std::error_code failure;
  std::filesystem::create_directory(beside, failure);
  if (failure) {
    throw InvalidInput(fmt::format("{} cannot be made: {}", folder.string(), failure.message()));
  }
  try {
    for (const std::string& name : weight_names(checkpoint)) {
      if (name.find('/') != std::string::npos) {
        throw InvalidInput(
            fmt::format("'{}' cannot be the name of a file: export to safetensors instead", name));
      }
      write_npy(beside / (name + ".npy"), checkpoint.tensor(name));
    }
    std::filesystem::rename(beside, whole);
  } catch (...) {
    std::filesystem::remove_all(beside, failure);
    throw;
  }
  sync_folder(whole.parent_path(), whole);
}

}  // namespace shoal
