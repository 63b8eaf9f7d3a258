// Initial values that depend on (seed, parameter's full name) only, so that every rank, mesh and
// element type starts from the same numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace shoal {

// What a layer needs to fill its tensors: their full names begin with `prefix`.
struct InitialValues {
  std::uint64_t seed = 0;
  std::string prefix;  // "0.conv."

  // Uniform in [-bound, bound). Computed in float32 for every type of `tensor`.
  void uniform(const at::Tensor& tensor, const std::string& name, double bound) const;
  // PyTorch's default of linear layers and convolutions: "weight" [units, inputs...] and "bias",
  // which may be undefined, uniform in +-1/sqrt(inputs of a unit).
  void like_torch(const at::Tensor& weight, const at::Tensor& bias) const;
};

// Elements that a unit of a weight [units, inputs...] reads: the product of all but the first size.
std::int64_t fan_in(const at::Tensor& weight);

}  // namespace shoal
