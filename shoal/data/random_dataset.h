// Made-up samples, computed when they are read: for tests, benchmarks and first tries.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/core/philox.h"
#include "shoal/data/dataset.h"

namespace shoal {

struct RandomDatasetOptions {
  std::string name = "random";
  std::string part = "train";  // parts differ in their samples, not in what is to be learnt
  std::uint64_t seed = 0;
  std::int64_t size = 0;                         // samples
  std::vector<std::int64_t> sample_shape = {1};  // no size is 0
  std::int64_t classes = 0;                      // 0: regression
};

// Inputs have a mean near 0 and, apart from their class, a variance of 1. Classification: class c
// lies around a point of its own, about 6 standard deviations from every other one, so every
// classifier worth the name gets most of them right. Regression: the target is a fixed linear
// function of the input, with variance 1. Sample i depends on seed, part and i only: the same on
// every machine. Memory: one point per class.
class RandomDataset : public Dataset {
 public:
  explicit RandomDataset(const RandomDatasetOptions& options);
  void read(std::span<const std::int64_t> ids, Batch& out) const override;

 private:
  std::size_t elements_;
  std::vector<float> points_;  // classes x elements, or 1 x elements of weights
  RandomStream values_;
  RandomStream labels_;
};

}  // namespace shoal
