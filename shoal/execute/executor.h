// Runs a rank's programs on real tensors.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/execute/rank_model.h"
#include "shoal/execute/trace.h"
#include "shoal/program/program.h"
#include "shoal/tensor/memory_account.h"

namespace shoal {

// This rank's part of a batch; the executor cuts it into micro-batches. May have 0 samples.
struct StepBatch {
  at::Tensor inputs = {};   // [samples, ...]
  at::Tensor targets = {};  // [samples, ...] class indices, or numbers
  MixedTargets mixed = {};  // of samples that are mixtures
  std::vector<std::int64_t> sample_ids = {};
};

// Where Load gets batches from. Called by the thread that runs the executor.
using BatchSource = std::function<StepBatch(Deadline)>;

// What a worker asks of all others in a step.
struct Requests {
  int stop_signal = 0;  // SIGINT or SIGTERM, 0 for none
  bool checkpoint_written = false;
};

// What Agree found: the same on every rank.
struct Agreement {
  double loss_sum = 0;
  double weight = 0;
  double correct = 0;
  double samples = 0;  // equal to the weight where a sample has one answer, unless classes have
                       // weights
  bool finite = true;  // loss and, where they were looked at, gradients; else Update did
                       // nothing
  bool loss_is_finite = true;
  double gradient_norm = 0;     // of the mean loss, before clipping; where they were looked at
  int stop_signal = 0;          // the largest asked for
  int checkpoints_written = 0;  // ranks that said so
  double mean_loss() const { return weight > 0 ? loss_sum / weight : 0; }
};

struct RunInput {
  std::int64_t step = 0;
  double rate = 0;
  double loss_scale = 1;            // gradients are made of the loss times this; Update divides
  bool looks_at_gradients = false;  // for what is not finite; clip_norm does so anyway. One pass
  BatchSource batches = {};
  // Told of every micro-batch's output and targets by the rank that has its loss; may be empty.
  std::function<void(const at::Tensor& output, const at::Tensor& targets)> outputs = {};
  Requests requests = {};
};

// Seconds of the thread that runs the executor, summed over runs.
struct TimeShares {
  double compute = 0;
  double communication = 0;  // exposed: not beside compute
  double data = 0;
  double total = 0;
};

enum class LanePolicy : std::uint8_t {
  automatic,  // threads where the worker has a core to spare, computes on another device, or the
              // engine waits for a network
  threads,    // collectives run beside compute
  in_line,    // collectives run on the compute thread, in the list's order
};

struct ExecutorOptions {
  LanePolicy lanes = LanePolicy::automatic;
  bool has_spare_core = false;                            // beside the one that computes
  std::optional<at::ScalarType> autocast = std::nullopt;  // of the blocks' forwards
  LossForm loss = {};                      // of training; evaluations take its huber_delta only
  std::shared_ptr<MemoryAccount> account;  // books what the rank's threads allocate; may be null
  std::shared_ptr<Trace> trace;            // may be null
};

// Built by all ranks at once: forms the programs' groups. One thread drives it. After an exception
// of a run the groups are aborted and the executor is spent.
class Executor {
 public:
  // `model` is borrowed. Throws InvalidInput when the ranks' programs differ (digest).
  Executor(World& world, const Programs& programs, RankModel& model, const Chain& chain,
           ExecutorOptions options);
  ~Executor();

  // Runs one step of a program that has an Agree.
  // Throws PeerLost, TimedOut, Cancelled from communication, what a block or the source throws.
  Agreement train(const RunInput& input);

  // Runs "evaluate" on one batch: sums of this pipeline's last stage, zero on other stages.
  Agreement evaluate(const RunInput& input);
  // Runs "predict"; the last stage returns the chain's output, others an undefined tensor.
  at::Tensor predict(const RunInput& input);

  // After a step whose agreement is not finite: runs the same batch's forwards again on all ranks
  // and returns the first block whose output is not finite, "input" for the batch itself, or
  // "loss" when only the loss is. The same on every rank.
  std::string first_not_finite(const RunInput& of_step);

  Group& world_group();
  TimeShares shares() const;
  std::uint64_t bytes_sent() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
