#include "shoal/model/initial_values.h"

#include <ATen/Functions.h>

#include <cmath>
#include <span>

#include "shoal/core/philox.h"

namespace shoal {

void InitialValues::uniform(const at::Tensor& tensor, const std::string& name, double bound) const {
  const bool direct = tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
  at::Tensor values = direct ? tensor.detach() : at::empty(tensor.sizes(), at::kFloat);
  const std::span<float> numbers(values.mutable_data_ptr<float>(),
                                 static_cast<std::size_t>(values.numel()));
  RandomStream(seed, prefix + name).uniform(numbers);
  const float scale = static_cast<float>(2 * bound);
  const float shift = static_cast<float>(bound);
  for (float& x : numbers) x = x * scale - shift;
  if (!direct) tensor.copy_(values);
}

void InitialValues::like_torch(const at::Tensor& weight, const at::Tensor& bias) const {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in(weight)));
  uniform(weight, "weight", bound);
  if (bias.defined()) uniform(bias, "bias", bound);
}

std::int64_t fan_in(const at::Tensor& weight) {
  std::int64_t product = 1;
  for (std::int64_t d = 1; d < weight.dim(); ++d) product *= weight.size(d);
  return product;
}

}  // namespace shoal
