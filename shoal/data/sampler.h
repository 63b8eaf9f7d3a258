// Which samples a step trains on, and which of them are a worker's: arithmetic on the step number,
// so that a resumed run needs nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "shoal/core/partition.h"

namespace shoal {

struct SamplerOptions {
  std::int64_t batch = 1;  // samples per global batch; the last of an epoch may be smaller
  std::uint64_t seed = 0;
  bool shuffle = true;     // another order in every epoch; false: 0, 1, 2, ...
  bool drop_last = false;  // leaves a smaller last batch out
};

// The order depends on (size, options, epoch) only, never on the number of workers. Immutable to
// its callers: all calls may run in several threads at once. The first call in an epoch costs
// O(size) (0.3 ms for 60,000), the others O(samples returned); two epochs' orders are kept.
class Sampler {
 public:
  // Throws InvalidInput for an empty data set, a batch below 1, or no batch at all (drop_last).
  Sampler(std::int64_t size, const SamplerOptions& options);

  struct Position {
    std::int64_t epoch = 0;
    std::int64_t batch = 0;  // in the epoch
    bool operator==(const Position&) const = default;
  };

  std::int64_t batches_per_epoch() const { return batches_; }
  Position position(std::int64_t step) const;  // of step 0, 1, 2, ...
  std::int64_t step_of(Position position) const;
  std::int64_t samples_in(std::int64_t step) const;  // of the global batch

  // Ids of the global batch, in order.
  std::vector<std::int64_t> ids(std::int64_t step) const;
  // Those of worker `index` of `parts`: part_of cuts the global batch, so parts differ by at most
  // one sample, and some are empty when there are fewer samples than workers. A worker cuts its
  // part into micro-batches by part_of again.
  std::vector<std::int64_t> ids(std::int64_t step, std::int64_t parts, std::int64_t index) const;

 private:
  using Order = std::shared_ptr<const std::vector<std::uint32_t>>;  // outlives its cache entry
  Order order_of(std::int64_t epoch) const;
  std::vector<std::int64_t> ids_in(std::int64_t epoch, Range places) const;

  std::int64_t size_;
  SamplerOptions options_;
  std::int64_t batches_;
  mutable std::mutex mutex_;  // guards recent_
  mutable std::array<std::pair<std::int64_t, Order>, 2> recent_;
};

// Batches for evaluation and prediction: fixed by the sample's number, whole ones dealt to ranks in
// turn, each sample once. A batch has the same content on whatever rank and number of ranks, so
// sums over batches, added in order of batch, are equal to the serial result to the bit.
class EvaluationBatches {
 public:
  // Throws InvalidInput for a batch below 1. size may be 0: then there is no batch.
  EvaluationBatches(std::int64_t size, std::int64_t batch, std::int64_t ranks = 1);

  std::int64_t count() const { return count_; }
  Range samples(std::int64_t batch) const;  // 0 <= batch < count(); only the last is smaller

  // All ranks take part in every round; in the last one some have no batch.
  std::int64_t rounds() const { return (count_ + ranks_ - 1) / ranks_; }
  std::optional<std::int64_t> batch_of(std::int64_t round, std::int64_t rank) const;
  // Ids of that batch; empty when there is none.
  std::vector<std::int64_t> ids(std::int64_t round, std::int64_t rank) const;

 private:
  std::int64_t size_;
  std::int64_t batch_;
  std::int64_t ranks_;
  std::int64_t count_;
};

}  // namespace shoal
