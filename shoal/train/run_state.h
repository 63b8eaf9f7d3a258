// What a run knows from one step to the next beside its tensors: a checkpoint keeps it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "shoal/train/early_stop.h"
#include "shoal/train/loss_scale.h"
#include "shoal/train/train_options.h"

namespace shoal {

// The same on every rank. One thread.
struct RunState {
  explicit RunState(const TrainOptions& options)
      : early_stop(options.early_stop), loss_scale(options.precision == Precision::fp16) {}

  EarlyStop early_stop;
  LossScale loss_scale;
  std::int64_t skipped = 0;         // steps whose update was not applied
  std::int64_t skipped_in_row = 0;  // of them, for a loss that was not finite, the last ones

  nlohmann::json to_json() const {
    return {{"early_stop", early_stop.state()},
            {"loss_scale", loss_scale.state()},
            {"skipped", skipped},
            {"skipped_in_row", skipped_in_row}};
  }
  // A checkpoint of an older version has none, or not all: what is missing begins anew.
  void restore(const nlohmann::json& state) {
    if (state.contains("early_stop")) early_stop.restore(state.at("early_stop"));
    if (state.contains("loss_scale")) loss_scale.restore(state.at("loss_scale"));
    skipped = state.value("skipped", std::int64_t{0});
    skipped_in_row = state.value("skipped_in_row", std::int64_t{0});
  }
};

}  // namespace shoal
