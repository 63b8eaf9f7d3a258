// What a run knows from one step to the next beside its tensors: a checkpoint keeps it.
#pragma once

#include <nlohmann/json.hpp>

#include "shoal/train/early_stop.h"
#include "shoal/train/train_options.h"

namespace shoal {

// The same on every rank. One thread.
struct RunState {
  explicit RunState(const TrainOptions& options) : early_stop(options.early_stop) {}

  EarlyStop early_stop;

  nlohmann::json to_json() const { return {{"early_stop", early_stop.state()}}; }
  // A checkpoint of an older version has none, or not all: what is missing begins anew.
  void restore(const nlohmann::json& state) {
    if (state.contains("early_stop")) early_stop.restore(state.at("early_stop"));
  }
};

}  // namespace shoal
