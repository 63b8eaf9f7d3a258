// Jobs for tests of training: a small one with most kinds of layers, run as threads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "shoal/core/test_folder.h"
#include "shoal/tensor/torch_settings.h"
#include "shoal/train/trainer.h"

namespace shoal {

using Settings = std::vector<std::string>;

// Convolutions, pooling, both dropouts and a norm; 210 samples in batches of 50: the last has 10.
inline constexpr const char* kJob = R"(
seed = 11
[model]
layers = [{conv = 6, kernel = 3}, [{channel_dropout = 0.3}, "relu"], [{pool = 2}, "flatten"],
          {linear = 24}, ["layer_norm", "tanh", {dropout = 0.2}], {linear = 10}]
[data]
name = "random"
shape = [1, 10, 10]
size = 210
test_size = 70
[train]
steps = 9
batch = 50
optimizer = "sgd"
momentum = 0.9
lr = 0.05
precision = "fp64"
evaluate_batch = 16
)";

inline PreparedJob prepared(const Settings& settings, int workers, const char* text = kJob) {
  configure_torch(1);
  const TempFolder folder;
  std::ofstream(folder / "job.toml") << text;
  return prepare(read_job(folder / "job.toml", settings), workers);
}

inline std::vector<RunReport> run_all(const PreparedJob& job, bool resume = false,
                                      std::vector<Observer*> observers = {}) {
  const int workers = job.programs.plan.mesh.size();
  std::vector<RunReport> reports(static_cast<std::size_t>(workers));
  run_ranks(workers, job.job.comm, [&](World& world) {
    Trainer trainer(world, job, {.resume = resume, .observers = observers});
    reports[static_cast<std::size_t>(world.rank())] = trainer.run();
  });
  return reports;
}

inline RunReport run(const Settings& settings, int workers) {
  return run_all(prepared(settings, workers)).front();
}

inline double largest_relative_gap(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]) / std::abs(b[i]));
  }
  return largest;
}

}  // namespace shoal
