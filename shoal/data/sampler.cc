#include "shoal/data/sampler.h"

#include <fmt/format.h>

#include <limits>
#include <numeric>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/core/philox.h"

namespace shoal {
namespace {

void require_batch(std::int64_t batch) {
  if (batch < 1) {
    throw InvalidInput(fmt::format("the batch is {}: give 1 sample or more", batch));
  }
}

}  // namespace

Sampler::Sampler(std::int64_t size, const SamplerOptions& options)
    : size_(size), options_(options) {
  require_batch(options.batch);
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  if (size < 1 || size > kMost) {
    throw InvalidInput(
        fmt::format("the data set has {} samples: training needs 1 to {}", size, kMost));
  }
  batches_ = size / options.batch;
  if (size % options.batch != 0 && !options.drop_last) ++batches_;
  if (batches_ == 0) {
    throw InvalidInput(
        fmt::format("the batch is {}, the data set has {} samples, and drop_last "
                    "leaves the only batch out: lower the batch",
                    options.batch, size));
  }
}

Sampler::Position Sampler::position(std::int64_t step) const {
  check(step >= 0, "steps count from 0");
  return {.epoch = step / batches_, .batch = step % batches_};
}

std::int64_t Sampler::step_of(Position position) const {
  check(position.epoch >= 0 && position.batch >= 0 && position.batch < batches_,
        "a batch of an epoch is in 0 .. batches_per_epoch-1");
  return position.epoch * batches_ + position.batch;
}

std::int64_t Sampler::samples_in(std::int64_t step) const {
  const std::int64_t begin = position(step).batch * options_.batch;
  return std::min(options_.batch, size_ - begin);
}

std::vector<std::int64_t> Sampler::ids(std::int64_t step) const { return ids(step, 1, 0); }

std::vector<std::int64_t> Sampler::ids(std::int64_t step, std::int64_t parts,
                                       std::int64_t index) const {
  const Position at = position(step);
  const std::int64_t begin = at.batch * options_.batch;
  const Range part = part_of(samples_in(step), parts, index);
  return ids_in(at.epoch, {begin + part.begin, begin + part.end});
}

std::vector<std::int64_t> Sampler::ids_in(std::int64_t epoch, Range places) const {
  std::vector<std::int64_t> result(static_cast<std::size_t>(places.size()));
  if (!options_.shuffle) {
    std::iota(result.begin(), result.end(), places.begin);
  } else if (!places.empty()) {
    const Order order = order_of(epoch);
    std::copy(order->begin() + places.begin, order->begin() + places.end, result.begin());
  }
  return result;
}

// Threads that read ahead ask for the end of one epoch and the start of the next in turn.
Sampler::Order Sampler::order_of(std::int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  auto& [cached_epoch, cached] = recent_[static_cast<std::size_t>(epoch % 2)];
  if (!cached || cached_epoch != epoch) {
    cached = std::make_shared<const std::vector<std::uint32_t>>(
        permutation(static_cast<std::uint32_t>(size_), options_.seed, "data.sampler",
                    static_cast<std::uint64_t>(epoch)));
    cached_epoch = epoch;
  }
  return cached;
}

EvaluationBatches::EvaluationBatches(std::int64_t size, std::int64_t batch, std::int64_t ranks)
    : size_(size), batch_(batch), ranks_(ranks) {
  require_batch(batch);
  check(size >= 0 && ranks > 0, "evaluation needs size >= 0 and ranks > 0");
  count_ = size / batch + (size % batch != 0 ? 1 : 0);
}

Range EvaluationBatches::samples(std::int64_t batch) const {
  check(batch >= 0 && batch < count_, "a batch is in 0 .. count-1");
  const std::int64_t begin = batch * batch_;
  return {begin, begin + std::min(batch_, size_ - begin)};
}

std::optional<std::int64_t> EvaluationBatches::batch_of(std::int64_t round,
                                                        std::int64_t rank) const {
  check(round >= 0 && rank >= 0 && rank < ranks_, "rounds and ranks count from 0");
  const std::int64_t batch = round * ranks_ + rank;
  return batch < count_ ? std::optional(batch) : std::nullopt;
}

std::vector<std::int64_t> EvaluationBatches::ids(std::int64_t round, std::int64_t rank) const {
  const auto batch = batch_of(round, rank);
  const Range range = batch ? samples(*batch) : Range{};
  std::vector<std::int64_t> result(static_cast<std::size_t>(range.size()));
  std::iota(result.begin(), result.end(), range.begin);
  return result;
}

}  // namespace shoal
