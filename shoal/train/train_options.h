// The job's [train], [parallel], [comm] and [execute] tables.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/core/options.h"
#include "shoal/execute/executor.h"
#include "shoal/optim/optimizer.h"
#include "shoal/optim/rate.h"
#include "shoal/train/early_stop.h"

namespace shoal {

enum class Precision : std::uint8_t {
  fp32,
  fp64,
  bf16,  // weights and updates in float32, blocks compute in bfloat16 where LibTorch's autocast
         // does
  fp16,  // the same in float16, with dynamic loss scaling
};

// What happens with a step whose loss or gradient is not finite. Its update is never applied.
enum class NonFinite : std::uint8_t {
  stop,  // the run ends, naming step and block
  skip,  // it goes on with the next batch, unless too many in a row are so
};

struct TrainOptions {
  std::int64_t epochs = 1;
  std::optional<std::int64_t> steps;  // instead of epochs
  // Samples per update over all workers; none: all of them, one update an epoch. prepare() puts
  // their number here.
  std::optional<std::int64_t> batch = 128;
  std::int64_t evaluate_batch = 500;  // samples per batch of an evaluation, whatever the workers
  bool evaluate = true;               // on the test set at the end
  std::int64_t evaluate_every = 0;    // epochs between evaluations on the validation set; 0: never
  std::vector<std::string> metrics;   // counted in evaluations, see metrics.h
  Precision precision = Precision::fp32;
  NonFinite non_finite = NonFinite::stop;
  std::int64_t non_finite_limit = 10;  // with skip: so many in a row are borne
  // What gives the loss its form while training; evaluations take huber_delta only.
  double label_smoothing = 0;             // cross_entropy
  nlohmann::json class_weights = "none";  // cross_entropy: "none", "balanced" or one a class
  nlohmann::json pos_weight = "none";     // binary_cross_entropy: the same, one a label
  double huber_delta = 1;                 // loss huber: squared up to this, linear beyond
  OptimizerOptions optimizer;
  RateOptions rate;
  // A moving average of the trained weights: evaluations use it, checkpoints keep it.
  std::optional<double> ema_decay;
  EarlyStopOptions early_stop;
  std::vector<std::string> problems() const;
};
OptionTable describe(TrainOptions& options);

// Tensors of a trained parameter's size that are kept beside it: the optimizer's states and the
// moving average.
std::size_t states_per_parameter(const TrainOptions& options);

struct ParallelOptions {
  std::vector<std::pair<std::string, std::int64_t>> mesh;  // empty: {data = workers}
  std::map<std::string, std::vector<std::string>> layout;  // empty: batch -> data
};
OptionTable describe(ParallelOptions& options);

struct ExecuteOptions {
  std::string device = "cpu";  // or "cuda": a worker's tensors and kernels on a GPU
  int threads = 1;             // intra-op threads of a worker
  bool pin = true;             // workers to cores of their own while there is one each
  LanePolicy lanes = LanePolicy::automatic;
  std::vector<std::string> problems() const;
};
OptionTable describe(ExecuteOptions& options);

}  // namespace shoal
