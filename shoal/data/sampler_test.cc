#include "shoal/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "shoal/core/check.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Ids = std::vector<std::int64_t>;

Ids epoch_of(const Sampler& sampler, std::int64_t epoch) {
  Ids all;
  for (std::int64_t batch = 0; batch < sampler.batches_per_epoch(); ++batch) {
    const Ids ids = sampler.ids(sampler.step_of({epoch, batch}));
    all.insert(all.end(), ids.begin(), ids.end());
  }
  return all;
}

Ids sorted(Ids ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

Ids first_numbers(std::int64_t n) {
  Ids ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

TEST(Sampler, ShowsEverySampleOncePerEpochInAnotherOrderEachTime) {
  const Sampler sampler(103, {.batch = 10, .seed = 7});
  EXPECT_EQ(sampler.batches_per_epoch(), 11);
  EXPECT_EQ(sampler.samples_in(10), 3);
  const Ids first = epoch_of(sampler, 0);
  EXPECT_EQ(sorted(first), first_numbers(103));
  EXPECT_NE(first, first_numbers(103));
  EXPECT_EQ(sorted(epoch_of(sampler, 1)), first_numbers(103));
  EXPECT_NE(epoch_of(sampler, 1), first);
  EXPECT_EQ(epoch_of(sampler, 0), first);  // an earlier epoch again
}

TEST(Sampler, OrderDependsOnSeedAndEpochOnly) {
  const Sampler sampler(103, {.batch = 10, .seed = 7});
  EXPECT_EQ(epoch_of(Sampler(103, {.batch = 10, .seed = 7}), 3), epoch_of(sampler, 3));
  EXPECT_EQ(epoch_of(Sampler(103, {.batch = 4, .seed = 7}), 3), epoch_of(sampler, 3));
  EXPECT_NE(epoch_of(Sampler(103, {.batch = 10, .seed = 8}), 3), epoch_of(sampler, 3));
}

// The parts of any number of workers, one after the other, are the global batch of one worker.
TEST(Sampler, PartsOfAnyNumberOfWorkersAreTheSameGlobalBatch) {
  const Sampler sampler(107, {.batch = 25, .seed = 7});
  for (std::int64_t step = 0; step < 10; ++step) {
    for (const std::int64_t workers : {1, 2, 3, 5, 8, 40}) {
      Ids together;
      std::size_t least = 1'000;
      std::size_t most = 0;
      for (std::int64_t worker = 0; worker < workers; ++worker) {
        const Ids part = sampler.ids(step, workers, worker);
        together.insert(together.end(), part.begin(), part.end());
        least = std::min(least, part.size());
        most = std::max(most, part.size());
      }
      EXPECT_EQ(together, sampler.ids(step)) << step << " on " << workers;
      EXPECT_LE(most - least, 1u);
    }
  }
}

TEST(Sampler, LeavesWorkersWithoutSamplesWhenTheLastBatchIsTooSmall) {
  const Sampler sampler(102, {.batch = 50, .seed = 7});
  EXPECT_THAT(sampler.ids(2), SizeIs(2));
  EXPECT_THAT(sampler.ids(2, 4, 0), SizeIs(1));
  EXPECT_THAT(sampler.ids(2, 4, 1), SizeIs(1));
  EXPECT_THAT(sampler.ids(2, 4, 2), IsEmpty());
  EXPECT_THAT(sampler.ids(2, 4, 3), IsEmpty());
}

TEST(Sampler, StepNumbersAreEpochsAndBatches) {
  const Sampler sampler(103, {.batch = 10, .seed = 7});
  EXPECT_EQ(sampler.position(0), (Sampler::Position{0, 0}));
  EXPECT_EQ(sampler.position(10), (Sampler::Position{0, 10}));
  EXPECT_EQ(sampler.position(11), (Sampler::Position{1, 0}));
  for (const std::int64_t step : {0, 5, 10, 11, 12, 1'000'000'007}) {
    EXPECT_EQ(sampler.step_of(sampler.position(step)), step);
  }
  EXPECT_THROW(sampler.position(-1), BrokenInvariant);
  EXPECT_THROW(sampler.step_of({0, 11}), BrokenInvariant);
}

TEST(Sampler, DropsASmallerLastBatchWhenAsked) {
  const Sampler sampler(103, {.batch = 10, .seed = 7, .drop_last = true});
  EXPECT_EQ(sampler.batches_per_epoch(), 10);
  EXPECT_THAT(epoch_of(sampler, 0), SizeIs(100));
  EXPECT_EQ(Sampler(100, {.batch = 10, .drop_last = true}).batches_per_epoch(), 10);
}

TEST(Sampler, KeepsTheOrderWithoutShuffle) {
  const Sampler sampler(7, {.batch = 4, .shuffle = false});
  EXPECT_THAT(sampler.ids(0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(sampler.ids(1), ElementsAre(4, 5, 6));
  EXPECT_THAT(sampler.ids(3, 2, 1), ElementsAre(6));
}

TEST(Sampler, RefusesWhatGivesNoBatch) {
  EXPECT_THAT(refusal([] { Sampler(10, {.batch = 0}); }), HasSubstr("the batch is 0"));
  EXPECT_THAT(refusal([] { Sampler(0, {.batch = 1}); }), HasSubstr("has 0 samples"));
  EXPECT_THAT(refusal([] { Sampler(std::int64_t{1} << 32, {.batch = 1}); }),
              HasSubstr("needs 1 to"));
  EXPECT_THAT(refusal([] { Sampler(3, {.batch = 4, .drop_last = true}); }),
              AllOf(HasSubstr("drop_last"), HasSubstr("3 samples")));
}

TEST(Sampler, AnswersSeveralThreadsAtOnce) {
  const Sampler sampler(1'000, {.batch = 100, .seed = 7});
  std::vector<Ids> expected;
  for (std::int64_t step = 0; step < 60; ++step) expected.push_back(sampler.ids(step));
  const Sampler shared(1'000, {.batch = 100, .seed = 7});
  std::vector<Ids> found(60);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t step = t; step < 60; step += 3) {
          found[step] = shared.ids(static_cast<std::int64_t>(step));
        }
      });
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(EvaluationBatches, DealsWholeBatchesToRanksInTurn) {
  const EvaluationBatches batches(45, 10, 3);
  EXPECT_EQ(batches.count(), 5);
  EXPECT_EQ(batches.rounds(), 2);
  EXPECT_EQ(batches.samples(4), (Range{40, 45}));
  EXPECT_EQ(batches.batch_of(0, 2), 2);
  EXPECT_EQ(batches.batch_of(1, 0), 3);
  EXPECT_EQ(batches.batch_of(1, 2), std::nullopt);
  EXPECT_THAT(batches.ids(1, 1), ElementsAre(40, 41, 42, 43, 44));
  EXPECT_THAT(batches.ids(1, 2), IsEmpty());
}

TEST(EvaluationBatches, CountEverySampleOnceOnAnyNumberOfRanks) {
  for (const std::int64_t size : {0, 1, 9, 10, 11, 100, 101}) {
    for (const std::int64_t ranks : {1, 2, 3, 7, 20}) {
      const EvaluationBatches batches(size, 10, ranks);
      Ids all;
      for (std::int64_t round = 0; round < batches.rounds(); ++round) {
        for (std::int64_t rank = 0; rank < ranks; ++rank) {
          const Ids ids = batches.ids(round, rank);
          all.insert(all.end(), ids.begin(), ids.end());
        }
      }
      EXPECT_EQ(all, first_numbers(size)) << size << " on " << ranks;
    }
  }
  EXPECT_NE(refusal([] { EvaluationBatches(1, 0, 1); }), "");
}

}  // namespace
}  // namespace shoal
