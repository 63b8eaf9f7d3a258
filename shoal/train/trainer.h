// Runs a job on one rank of a world: steps, evaluations, checkpoints, and the figures at the end.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/core/stop_request.h"
#include "shoal/train/observer.h"
#include "shoal/train/prediction.h"
#include "shoal/train/prepared_job.h"
#include "shoal/train/run_report.h"

namespace shoal {

struct TrainerOptions {
  bool resume = false;                // from the newest complete checkpoint, if there is one
  std::vector<Observer*> observers;   // borrowed
  const StopRequest* stop = nullptr;  // looked at every step; may be null
  std::chrono::system_clock::time_point launched = std::chrono::system_clock::now();
  std::filesystem::path trace_file = {};  // written by rank 0 at the end; empty: none
};

// All ranks build one with equal jobs and make the same calls; one thread each.
class Trainer {
 public:
  // Builds this rank's blocks, forms the groups, and loads the checkpoint to resume from.
  // Throws InvalidInput (ranks differ, a checkpoint of another model, an unwritable folder).
  Trainer(World& world, const PreparedJob& prepared, TrainerOptions options);
  ~Trainer();

  // One update, or none where loss or gradient are not finite and [train] says to skip. Throws
  // NotFinite naming step, block and the last complete checkpoint, and what the executor throws.
  StepReport step();
  bool finished() const;  // all steps done, a stop was agreed on, or training is no use any more
  std::int64_t next_step() const;

  // Of the moving average of the weights when there is one ([train] ema_decay).
  EvaluationReport evaluate(const Dataset& set, const std::string& name);

  // Outputs for all samples of the set, in their order, to `sink` on rank 0 (see prediction.h).
  void predict(const Dataset& set, const PredictionSink& sink);

  // Steps until finished, evaluations, the last checkpoint, the trace; what `shoal train` does.
  RunReport run();

  // Fills parameters and buffers from a checkpoint, a .safetensors file or a folder of .npy files.
  // With [train]
  // ema_decay the moving average comes from a checkpoint too, else it begins with the weights.
  // Throws InvalidInput, naming the tensors that do not fit, and for a checkpoint without average.
  void load_weights(const std::filesystem::path& path);
  RankModel& model();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
