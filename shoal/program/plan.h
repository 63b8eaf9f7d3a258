// How a model is to be distributed: plain data, read from a job file's tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/mesh/layout.h"
#include "shoal/mesh/mesh.h"

namespace shoal {

struct DataParallelOptions {
  // Gradients are reduced in buckets of about this many bytes: small buckets start earlier beside
  // backward, large ones pay the fixed cost of a collective less often.
  std::int64_t bucket_bytes = 25 << 20;
  std::vector<std::string> problems() const;
};

enum class PipelineSchedule : std::uint8_t {
  vanilla,  // one micro-batch at a time passes through all stages, forward and back
  gpipe,    // Huang et al., GPipe, NeurIPS 2019: all forwards, then all backwards
};

struct PipelineOptions {
  // Of the part of the batch that a pipeline trains. The bubble is (stages-1) / (micro_batches +
  // stages-1) of a step: more of them idle less, but each is smaller and computes less efficiently.
  int micro_batches = 1;
  PipelineSchedule schedule = PipelineSchedule::gpipe;
  // First block of stages 1, 2, ...; empty: cut so that the stages' costs are balanced.
  std::vector<std::int64_t> cuts;
  std::vector<std::string> problems() const;
};

enum class RecomputeMode : std::uint8_t { none, all, sqrt, every };

// Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016: keep only the inputs of
// segments of blocks and run a segment's forward again before its backward.
struct RecomputeOptions {
  RecomputeMode mode = RecomputeMode::none;  // all: segments of 1 block; sqrt: of about sqrt(n)
  int every = 2;                             // blocks per segment with mode "every"
  std::vector<std::string> problems() const;
};

struct FreezeOptions {
  int blocks = 0;                       // the lowest blocks are not trained
  std::vector<std::string> parameters;  // names or prefixes ending in '*', not trained either
  std::vector<std::string> problems() const;
};

struct Plan {
  Mesh mesh;
  Layout layout;
  std::int64_t batch = 0;  // samples per update, over all workers
  DataParallelOptions data_parallel;
  PipelineOptions pipeline;
  RecomputeOptions recompute;
  FreezeOptions freeze;

  int stages() const { return mesh.axis_size("pipe"); }
  int batch_parts() const;  // ranks along the axes that split "batch"
  // This rank's share of the batch at most, and of that its largest micro-batch.
  std::int64_t largest_part() const;
  std::int64_t largest_micro_batch() const;
  std::vector<std::string> problems() const;  // every fault of every table
};

// The job file's tables [pipeline], [recompute], [data_parallel], [freeze].
OptionTable describe(DataParallelOptions& options);
OptionTable describe(PipelineOptions& options);
OptionTable describe(RecomputeOptions& options);
OptionTable describe(FreezeOptions& options);

}  // namespace shoal
