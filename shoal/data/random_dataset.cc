#include "shoal/data/random_dataset.h"

#include <algorithm>
#include <cmath>

namespace shoal {
namespace {

DatasetFacts facts_of(const RandomDatasetOptions& options) {
  return {.name = options.name,
          .size = options.size,
          .sample_shape = options.sample_shape,
          .answers = {.classes = options.classes}};
}

// Uniform in [-1, 1) has the variance 1/3.
constexpr double kUnit = 1.7320508075688772;  // the square root of 3

}  // namespace

RandomDataset::RandomDataset(const RandomDatasetOptions& options)
    : Dataset(facts_of(options)),
      elements_(static_cast<std::size_t>(facts().sample_elements())),
      values_(options.seed, "data.random.values." + options.part),
      labels_(options.seed, "data.random.labels." + options.part) {
  const auto rows = static_cast<std::size_t>(std::max<std::int64_t>(1, options.classes));
  points_.resize(rows * elements_);
  RandomStream(options.seed, "data.random.points").uniform(points_);
  // Two points differ by 2 x variance in each of the elements: 36 together are 6 deviations.
  constexpr double kDistance = 6;
  const double n = static_cast<double>(elements_);
  const double spread =
      options.classes > 0 ? kUnit * kDistance / std::sqrt(2 * n) : kUnit / std::sqrt(n);
  for (float& value : points_) value = static_cast<float>(spread * (2 * double{value} - 1));
}

void RandomDataset::read(std::span<const std::int64_t> ids, Batch& out) const {
  prepare(ids, out);
  const auto noise = static_cast<float>(kUnit);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = static_cast<std::uint64_t>(ids[i]);
    const std::span<float> values = out.inputs.as<float>().subspan(i * elements_, elements_);
    values_.at(id).uniform(values);
    if (classes() > 0) {
      const auto label = labels_.bits(id) % static_cast<std::uint64_t>(classes());
      const float* point = points_.data() + label * elements_;
      for (std::size_t j = 0; j < elements_; ++j)
        values[j] = point[j] + noise * (2 * values[j] - 1);
      out.labels[i] = static_cast<std::int64_t>(label);
    } else {
      double target = 0;
      for (std::size_t j = 0; j < elements_; ++j) {
        values[j] = noise * (2 * values[j] - 1);
        target += double{points_[j]} * double{values[j]};
      }
      out.targets[i] = static_cast<float>(target);
    }
  }
}

}  // namespace shoal
