// Models by name, and chains written out in a job file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/core/options.h"
#include "shoal/model/chain.h"
#include "shoal/model/model_form.h"

namespace shoal {

// Whose samples batch norm's statistics are of.
enum class BatchNormScope : std::uint8_t {
  local,   // the worker's part of the batch, or its micro-batch: results depend on the plan
  global,  // the whole batch: exact under every plan that does not cut micro-batches
};

// How pictures lie in memory between layers.
enum class PictureLayout : std::uint8_t { automatic, channels_first, channels_last };

struct ModelOptions {
  // One of model_names(), or of the plugin's models; or empty with `layers`.
  std::string name;
  // A library of models and layers that are not shoal's own (shoal/plugin.h); empty: none.
  std::string plugin;
  nlohmann::json settings;  // null, or a table that the plugin's model is told
  // A chain written out: an entry a block, a list of entries makes one block of them:
  //   ["flatten", {linear = 128}, "relu", {dropout = 0.2}, {conv = 32, kernel = 3}, {linear = 10}]
  nlohmann::json layers;
  std::string loss = "auto";                 // or a LossKind's name; auto follows the data's labels
  std::vector<std::int64_t> hidden = {128};  // widths of "mlp"
  PictureForm form = PictureForm::automatic;  // of the ResNets and VGGs that have two
  PictureLayout picture_layout = PictureLayout::automatic;
  BatchNormScope batch_norm = BatchNormScope::local;  // where a layer does not say itself
  // What training begins with in place of initial values: a .safetensors file, a folder of .npy
  // files, or a checkpoint; empty: initial values by the seed.
  std::string weights;
  // Loads the plugin.
  std::vector<std::string> problems() const;
};
OptionTable describe(ModelOptions& options);

std::vector<std::string> model_names();

// What the data looks like to the model.
struct DataShape {
  std::vector<std::int64_t> sample_shape;    // [1, 28, 28]; [features]
  int classes = 0;                           // 0: the answers are numbers
  int targets = 1;                           // columns to predict when there are no classes
  bool yes_or_no = false;                    // they are labels, which a sample has or not
  std::vector<std::int64_t> positions = {};  // at each of which there is a class; {}: one class
  std::int64_t ids = 0;                      // samples are whole numbers 0 .. ids-1; 0: numbers
};

// Loads the plugin. Throws InvalidInput with every fault: unknown model or layer (with the
// nearest), missing size, a layer that cannot follow the shape before it (naming both layers and
// the shape).
Chain make_chain(const ModelOptions& options, const DataShape& data);

}  // namespace shoal
