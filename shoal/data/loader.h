// Reads batches ahead of the training that needs them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "shoal/core/deadline.h"
#include "shoal/core/partition.h"
#include "shoal/data/data_span.h"
#include "shoal/data/dataset.h"
#include "shoal/data/sampler.h"

namespace shoal {

struct LoaderOptions {
  // Threads that read ahead. One keeps up with any model on a core beside it; 0 reads on the
  // caller's thread, when asked.
  int threads = 1;
  // Batches that may be ready, or in work, before they are asked for: the bound of memory.
  int prefetch = 4;
  // The threads yield to training where they share its core (nice 10, SCHED_BATCH).
  bool low_priority = true;
  DataSpanSink sink = {};  // called by the threads; empty: nothing is recorded
};

class BatchPool;

// Gives the batch's memory back, to be filled again; may outlive the Loader.
struct ReturnToPool {
  std::shared_ptr<BatchPool> pool;  // shared with every batch that is out
  void operator()(Batch* batch) const noexcept;
};
using BatchPtr = std::unique_ptr<Batch, ReturnToPool>;

// Ids of batch 0, 1, 2, ...: called by several threads at once, in any order, once per batch.
using LoadPlan = std::function<std::vector<std::int64_t>(std::int64_t)>;

// The parts of worker `index` of `parts`, one batch a step. Borrows the sampler.
LoadPlan training_plan(const Sampler& sampler, std::int64_t parts, std::int64_t index);
// The batches of `rank`, one a round, empty ones included.
LoadPlan evaluation_plan(const EvaluationBatches& batches, std::int64_t rank);

// Hands out the batches of a plan in order, the same ones for any number of threads. One thread
// calls next(). The destructor stops the threads after the samples they are just reading.
class Loader {
 public:
  // Batches `indices` of the plan. `dataset` is borrowed and outlives the Loader.
  Loader(const Dataset& dataset, LoadPlan plan, Range indices, LoaderOptions options = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, with its index in Batch::index; null after the last. Blocks until it is read:
  // not at all when the threads are ahead. Throws TimedOut at `deadline` (the batch can be asked
  // for again), and what reading or the plan threw: then every further call throws the same.
  BatchPtr next(Deadline deadline);

 private:
  struct Slot {
    BatchPtr batch;
    std::exception_ptr failure;
  };
  Slot produce(std::int64_t index) const;
  void read_ahead(const std::stop_token& stop);

  const Dataset& dataset_;
  const LoadPlan plan_;
  const LoaderOptions options_;
  const std::int64_t end_;
  std::shared_ptr<BatchPool> pool_;

  std::mutex mutex_;  // guards the four below
  std::map<std::int64_t, Slot> ready_;
  std::int64_t handed_;   // the batch that next() returns next
  std::int64_t claimed_;  // the batch that a thread reads next
  bool failed_ = false;
  std::condition_variable_any room_;    // for threads: there is one to read, or nothing any more
  std::condition_variable_any filled_;  // for next()
  std::vector<std::jthread> threads_;   // last: they use all of the above
};

}  // namespace shoal
