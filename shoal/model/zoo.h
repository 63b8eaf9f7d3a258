// Models by name, and chains written out in a job file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/model/chain.h"

namespace shoal {

struct ModelOptions {
  // One of model_names(); or empty with `layers`.
  std::string name;
  // A chain written out: an entry a block, a list of entries makes one block of them:
  //   ["flatten", {linear = 128}, "relu", {dropout = 0.2}, {conv = 32, kernel = 3}, {linear = 10}]
  nlohmann::json layers;
  std::string loss = "auto";                 // or a LossKind's name; auto follows the data's labels
  std::vector<std::int64_t> hidden = {128};  // widths of "mlp"
  std::vector<std::string> problems() const;
};
OptionTable describe(ModelOptions& options);

std::vector<std::string> model_names();

// What the data looks like to the model.
struct DataShape {
  std::vector<std::int64_t> sample_shape;  // [1, 28, 28]; [features]
  int classes = 0;                         // 0: regression
  int targets = 1;                         // columns to predict when regression
};

// Throws InvalidInput with every fault: unknown model or layer (with the nearest), missing size, a
// layer that cannot follow the shape before it (naming both layers and the shape).
Chain make_chain(const ModelOptions& options, const DataShape& data);

}  // namespace shoal
