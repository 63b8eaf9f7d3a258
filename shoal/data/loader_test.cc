#include "shoal/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "shoal/core/error.h"
#include "shoal/data/random_dataset.h"
#include "shoal/data/test_files.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Deadline soon() { return Deadline::after(std::chrono::seconds(60)); }

// A gate that tests open: reading waits at it.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), [&] { return open_; })) {
      throw InvalidInput("the gate was never opened");
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Samples whose one element is their number; reading can be made to wait or to fail.
class NumberedDataset : public Dataset {
 public:
  explicit NumberedDataset(std::int64_t size)
      : Dataset({.name = "numbers", .size = size, .sample_shape = {1}, .answers = {.classes = 2}}) {
  }
  void read(std::span<const std::int64_t> ids, Batch& out) const override {
    ++reads;
    if (gate != nullptr) gate->pass();
    prepare(ids, out);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == fails_at) throw Corrupt("numbers: sample 13 is damaged", "numbers");
      out.inputs.as<float>()[i] = static_cast<float>(ids[i]);
      out.labels[i] = ids[i] % 2;
    }
  }
  std::int64_t fails_at = -1;
  Gate* gate = nullptr;
  mutable std::atomic<int> reads = 0;
};

std::vector<std::vector<std::int64_t>> ids_of_all(Loader& loader) {
  std::vector<std::vector<std::int64_t>> all;
  while (const BatchPtr batch = loader.next(soon())) all.push_back(batch->sample_ids);
  return all;
}

TEST(Loader, HandsOutTheSameBatchesForAnyNumberOfThreads) {
  const RandomDataset data({.seed = 1, .size = 103, .sample_shape = {3}, .classes = 4});
  const Sampler sampler(data.size(), {.batch = 10, .seed = 5});
  std::vector<std::vector<std::int64_t>> expected;
  for (std::int64_t step = 3; step < 40; ++step) expected.push_back(sampler.ids(step, 3, 1));
  for (const int threads : {0, 1, 2, 5}) {
    Loader loader(data, training_plan(sampler, 3, 1), {3, 40}, {.threads = threads, .prefetch = 3});
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const BatchPtr batch = loader.next(soon());
      ASSERT_NE(batch, nullptr);
      EXPECT_EQ(batch->index, static_cast<std::int64_t>(i) + 3);
      EXPECT_EQ(batch->sample_ids, expected[i]) << threads << " threads";
      Batch direct;
      data.read(expected[i], direct);
      EXPECT_THAT(batch->floats(), ElementsAreArray(direct.floats()));
      EXPECT_EQ(batch->labels, direct.labels);
    }
    EXPECT_EQ(loader.next(soon()), nullptr);
    EXPECT_EQ(loader.next(soon()), nullptr);
  }
}

TEST(Loader, HandsOutEvaluationBatchesWithTheEmptyOnes) {
  const NumberedDataset data(45);
  const EvaluationBatches batches(45, 10, 3);
  Loader loader(data, evaluation_plan(batches, 2), {0, batches.rounds()});
  EXPECT_THAT(ids_of_all(loader), testing::ElementsAre(SizeIs(10), IsEmpty()));
}

TEST(Loader, ReadsNoFurtherAheadThanAsked) {
  const NumberedDataset data(1'000);
  const Sampler sampler(data.size(), {.batch = 1, .seed = 5});
  std::atomic<int> most_ahead = 0;
  std::atomic<std::int64_t> handed = 0;
  LoadPlan plan = [&](std::int64_t step) {
    const auto ahead = static_cast<int>(step - handed.load());
    for (int seen = most_ahead.load(); ahead > seen;) most_ahead.compare_exchange_weak(seen, ahead);
    return sampler.ids(step);
  };
  Loader loader(data, plan, {0, 200}, {.threads = 3, .prefetch = 4});
  for (int i = 0; i < 200; ++i) {
    ASSERT_NE(loader.next(soon()), nullptr);
    ++handed;
  }
  // 3 at most, and one more while next() has made room that `handed` does not count yet.
  EXPECT_LE(most_ahead.load(), 4);
  EXPECT_GE(most_ahead.load(), 0);
}

TEST(Loader, ReadsAheadWithoutBeingAsked) {
  NumberedDataset data(100);
  std::mutex mutex;
  std::condition_variable changed;
  int spans = 0;
  const LoaderOptions options{.threads = 1, .prefetch = 3, .sink = [&](const DataSpan&) {
                                const std::lock_guard lock(mutex);
                                ++spans;
                                changed.notify_all();
                              }};
  const Sampler sampler(data.size(), {.batch = 10, .seed = 5});
  Loader loader(data, training_plan(sampler, 1, 0), {0, 10}, options);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return spans == 3 * 2; }));
}

TEST(Loader, ThrowsWhatReadingThrewInItsPlace) {
  NumberedDataset data(20);
  data.fails_at = 13;
  const Sampler sampler(data.size(), {.batch = 5, .shuffle = false});
  for (const int threads : {0, 1, 3}) {
    Loader loader(data, training_plan(sampler, 1, 0), {0, 4}, {.threads = threads, .prefetch = 4});
    EXPECT_EQ(loader.next(soon())->index, 0);
    EXPECT_EQ(loader.next(soon())->index, 1);
    EXPECT_THAT(refusal([&] { loader.next(soon()); }), "Corrupt: numbers: sample 13 is damaged");
    EXPECT_THAT(refusal([&] { loader.next(soon()); }), HasSubstr("sample 13"));
  }
}

TEST(Loader, ThrowsWhatThePlanThrew) {
  const NumberedDataset data(20);
  const LoadPlan plan = [](std::int64_t) -> std::vector<std::int64_t> {
    throw InvalidInput("no plan");
  };
  for (const int threads : {0, 2}) {
    Loader loader(data, plan, {0, 4}, {.threads = threads});
    EXPECT_EQ(refusal([&] { loader.next(soon()); }), "InvalidInput: no plan");
  }
}

TEST(Loader, SaysWhichBatchIsLateAndCanBeAskedAgain) {
  NumberedDataset data(20);
  Gate gate;
  data.gate = &gate;
  const Sampler sampler(data.size(), {.batch = 5, .shuffle = false});
  Loader loader(data, training_plan(sampler, 1, 0), {2, 4});
  try {
    loader.next(Deadline::after(std::chrono::milliseconds(20)));
    ADD_FAILURE() << "came in spite of the gate";
  } catch (const TimedOut& late) {
    EXPECT_THAT(late.what(), AllOf(HasSubstr("batch 2 of numbers"), HasSubstr("ms")));
    EXPECT_THAT(late.missing, IsEmpty());
  }
  gate.open();
  EXPECT_EQ(loader.next(soon())->index, 2);
}

// Reading everything would take minutes and all memory.
TEST(Loader, StopsAfterTheSamplesItIsJustReading) {
  constexpr int kBatches = 1'000'000'000;
  const NumberedDataset data(1'000);
  const Sampler sampler(data.size(), {.batch = 1, .seed = 5});
  {
    Loader loader(data, training_plan(sampler, 1, 0), {0, kBatches},
                  {.threads = 2, .prefetch = kBatches});
    EXPECT_NE(loader.next(soon()), nullptr);
  }
  EXPECT_LT(data.reads.load(), kBatches);
}

TEST(Loader, UsesTheMemoryOfReturnedBatchesAgain) {
  const NumberedDataset data(100);
  const Sampler sampler(data.size(), {.batch = 10, .seed = 5});
  Loader loader(data, training_plan(sampler, 1, 0), {0, 50}, {.threads = 0});
  const std::byte* const first = loader.next(soon())->inputs.data();
  for (int i = 1; i < 50; ++i) EXPECT_EQ(loader.next(soon())->inputs.data(), first);
}

TEST(Loader, BatchesOutliveIt) {
  const NumberedDataset data(100);
  const Sampler sampler(data.size(), {.batch = 10, .shuffle = false});
  std::shared_ptr<const Batch> kept;  // as a tensor would keep it
  {
    Loader loader(data, training_plan(sampler, 1, 0), {0, 3});
    kept = loader.next(soon());
  }
  EXPECT_EQ(kept->floats()[9], 9.0f);
}

TEST(Loader, TellsTheTraceWhatItDid) {
  const NumberedDataset data(100);
  const Sampler sampler(data.size(), {.batch = 50, .shuffle = false});
  std::mutex mutex;
  std::vector<DataSpan> spans;
  {
    Loader loader(data, training_plan(sampler, 1, 0), {0, 2},
                  {.threads = 1, .sink = [&](const DataSpan& span) {
                     const std::lock_guard lock(mutex);
                     spans.push_back(span);
                   }});
    ids_of_all(loader);
  }
  ASSERT_THAT(spans, SizeIs(4));
  EXPECT_EQ(spans[0].name, "partition");
  EXPECT_EQ(spans[1].name, "load");
  EXPECT_EQ(spans[3].batch, 1);
  EXPECT_LE(spans[0].start, spans[0].end);
  EXPECT_EQ(spans[0].end, spans[1].start);
}

}  // namespace
}  // namespace shoal
