// A training set as augmentation shows it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "shoal/data/augmentation.h"
#include "shoal/data/dataset.h"

namespace shoal {

// The samples of `whole`, altered. What a sample becomes depends on the step, which read() takes
// from out.index: a Loader of training batches sets it. With mixup each sample is mixed with
// another one of `whole`, altered as that one is at this step, and the batch says which labels by
// which shares; numbers to predict are mixed, too. Memory beyond the batch: one sample.
class AugmentedDataset : public Dataset {
 public:
  // `whole` is borrowed and outlives this. Throws InvalidInput for options with problems(), and
  // where they need pictures, or colours, that `whole` does not have.
  AugmentedDataset(const Dataset& whole, const AugmentOptions& options, std::uint64_t seed);
  void read(std::span<const std::int64_t> ids, Batch& out) const override;

 private:
  void read_unmixed(std::span<const std::int64_t> ids, Batch& out) const;
  void mix(Batch& out) const;

  const Dataset& whole_;
  Augmentation augmentation_;
};

// Throws as the constructor does: for whoever wants to know before anything runs.
void require_augmentable(const Dataset& whole, const AugmentOptions& options);

}  // namespace shoal
