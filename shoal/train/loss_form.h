// A job's loss beside its data: weights of classes by how many samples each has.
#pragma once

#include "shoal/data/dataset.h"
#include "shoal/model/loss.h"
#include "shoal/train/train_options.h"

namespace shoal {

// Throws InvalidInput where the options do not fit the loss or the data's classes. "balanced"
// reads all of `training` once.
LossForm loss_form(const TrainOptions& options, LossKind kind, const Dataset& training);

}  // namespace shoal
