// A job file: everything that a training run is asked to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shoal/checkpoint/checkpoint.h"
#include "shoal/comm/world.h"
#include "shoal/core/options.h"
#include "shoal/data/augment_options.h"
#include "shoal/data/data_options.h"
#include "shoal/model/zoo.h"
#include "shoal/program/plan.h"
#include "shoal/train/metrics_options.h"
#include "shoal/train/train_options.h"

namespace shoal {

struct Job {
  std::int64_t seed = 0;
  ModelOptions model;
  DataOptions data;
  AugmentOptions augment;
  TrainOptions train;
  ParallelOptions parallel;
  DataParallelOptions data_parallel;
  PipelineOptions pipeline;
  RecomputeOptions recompute;
  FreezeOptions freeze;
  CheckpointOptions checkpoint;
  MetricsOptions metrics;
  CommOptions comm;
  ExecuteOptions execute;

  // The tables borrow this job.
  std::vector<OptionTable> tables();
  // Faults that need neither data nor model.
  std::vector<std::string> problems() const;
  // Settings that have no effect beside the others, a sentence each.
  std::vector<std::string> warnings() const;
  // The plan for `workers`; its mesh has to have that size. Throws InvalidInput.
  Plan plan(int workers) const;
  double join_seconds() const { return comm.join_seconds; }
};

// Reads the file, then the settings "table.key=value" in order. Throws InvalidInput with every
// fault, each naming the file or setting.
Job read_job(const std::filesystem::path& file, const std::vector<std::string>& settings);

}  // namespace shoal
