#include "shoal/model/block.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "shoal/core/error.h"
#include "shoal/model/initial_values.h"

namespace shoal {
namespace {

std::vector<std::string> names_of(const Activations& activations) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : activations.all()) names.push_back(name);
  return names;
}

bool ends_with_name(const std::string& path, std::string_view name) {
  return path == name || path.ends_with("." + std::string(name));
}

}  // namespace

const at::Tensor& Activations::at(const std::string& name) const {
  for (const auto& [key, tensor] : all_) {
    if (key == name) return tensor;
  }
  throw InvalidInput(
      fmt::format("no activation is called '{}': there is {}", name,
                  all_.empty() ? "none" : fmt::format("{}", fmt::join(names_of(*this), ", "))));
}

const at::Tensor& Activations::only() const {
  if (all_.size() == 1) return all_.front().second;
  throw InvalidInput(fmt::format("a block that takes one activation got {}: [{}]", all_.size(),
                                 fmt::join(names_of(*this), ", ")));
}

std::vector<std::string> unnamed_dims(const torch::nn::Module& module, const std::string& tensor) {
  for (const auto& tensors : {module.named_parameters(), module.named_buffers()}) {
    for (const auto& item : tensors) {
      if (item.key() == tensor) return std::vector<std::string>(item.value().dim());
    }
  }
  throw InvalidInput(fmt::format("the block has no tensor '{}'", tensor));
}

std::vector<std::string> Block::dims_of(const std::string& parameter) const {
  return unnamed_dims(*this, parameter);
}

void Block::initialise(std::uint64_t seed, const std::string& block_name) {
  const InitialValues values{seed, block_name + "."};
  for (auto& item : named_parameters()) {
    at::Tensor& tensor = item.value();
    if (tensor.dim() >= 2) {
      const double inputs = static_cast<double>(std::max<std::int64_t>(1, fan_in(tensor)));
      values.uniform(tensor, item.key(), 1 / std::sqrt(inputs));
    } else {
      tensor.fill_(ends_with_name(item.key(), "weight") ? 1 : 0);
    }
  }
}

}  // namespace shoal
