#include "shoal/program/facts.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace shoal {
namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

std::int64_t ParameterFacts::elements() const { return product(shape); }

std::int64_t ActivationFacts::bytes_per_sample() const {
  return product(sample_shape) * static_cast<std::int64_t>(size_of(type));
}

std::int64_t BlockFacts::parameter_bytes() const {
  std::int64_t sum = 0;
  for (const ParameterFacts& parameter : parameters) sum += parameter.bytes();
  return sum;
}

std::int64_t BlockFacts::output_bytes_per_sample() const {
  std::int64_t sum = 0;
  for (const ActivationFacts& output : outputs) sum += output.bytes_per_sample();
  return sum;
}

bool BlockFacts::trainable() const {
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const ParameterFacts& parameter) { return parameter.trainable; });
}

}  // namespace shoal
