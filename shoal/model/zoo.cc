#include "shoal/model/zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>

#include "shoal/core/error.h"
#include "shoal/model/layer_list.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

// What a model's layers depend on.
struct Form {
  Json outputs;  // classes, or columns to predict
  bool classes = false;
  bool is_row = false;  // a sample is one row of features already
  std::vector<std::int64_t> hidden;

  // The head: a linear layer, for classes with softmax.
  Json head(bool glorot = false) const {
    Json linear = {{"linear", outputs}};
    if (glorot) linear["glorot"] = true;
    Json layers = Json::array({linear});
    if (classes) layers.push_back("softmax");
    return layers;
  }
  // The block with `flatten` before it when a sample is not a row yet.
  Json on_row(Json block) const {
    if (!is_row) block.insert(block.begin(), "flatten");
    return block;
  }
};

struct Model {
  std::string name;
  Json (*layers)(const Form&);
};

Json linear(int units, bool glorot = false) {
  Json layer = {{"linear", units}};
  if (glorot) layer["glorot"] = true;
  return layer;
}
Json conv(int channels) { return {{"conv", channels}}; }
Json pool() { return {{"pool", 2}}; }
Json block(std::initializer_list<Json> layers) { return Json(std::vector<Json>(layers)); }

// The network of the book "Distributed Machine Learning with Python", chapters 2 to 7. There is no
// relu after the second convolution.
Json mynet(const Form& form) {
  return block({block({conv(32), {{"dropout2d", 0.5}}, "relu"}),
                block({conv(64), {{"dropout2d", 0.75}}, pool(), "flatten"}),
                block({linear(128), "relu"}), block({linear(20), "relu"}), form.head()});
}

// The three dense layers of Keras' introduction, with its initial values.
Json keras(const Form& form) {
  return block(
      {form.on_row(block({linear(64, true)})), block({linear(64, true), "relu"}), form.head(true)});
}

Json mlp(const Form& form) {
  Json layers = Json::array();
  for (const std::int64_t width : form.hidden) {
    const Json hidden = block({linear(static_cast<int>(width)), "relu"});
    layers.push_back(layers.empty() ? form.on_row(hidden) : hidden);
  }
  layers.push_back(layers.empty() ? form.on_row(form.head()) : form.head());
  return layers;
}

// Much to communicate for little to compute: four layers of 2048 units.
Json wide(const Form& form) {
  const Json hidden = block({linear(2048), "relu"});
  return block({form.on_row(hidden), hidden, hidden, hidden, form.head()});
}

Json convnet(const Form& form) {
  return block({block({conv(16), "relu", pool()}), block({conv(32), "relu", pool(), "flatten"}),
                block({linear(128), "relu"}), form.head()});
}

Json softmax(const Form& form) { return block({form.on_row(form.head())}); }

std::vector<Model> models() {
  return {{"mynet", mynet}, {"keras", keras},     {"mlp", mlp},
          {"wide", wide},   {"convnet", convnet}, {"softmax", softmax}};
}

std::string join(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

const std::map<std::string, LossKind>& losses() {
  static const std::map<std::string, LossKind> kByName{{"cross_entropy", LossKind::cross_entropy},
                                                       {"mean_squared", LossKind::mean_squared},
                                                       {"mean_absolute", LossKind::mean_absolute},
                                                       {"huber", LossKind::huber}};
  return kByName;
}

LossKind loss_kind(const ModelOptions& options, const DataShape& data) {
  const bool classes = data.classes > 0;
  if (options.loss == "auto") return classes ? LossKind::cross_entropy : LossKind::mean_squared;
  const LossKind kind = losses().at(options.loss);
  if (kind == LossKind::cross_entropy && !classes) {
    throw InvalidInput(
        "loss = \"cross_entropy\" needs classes, and the data has numbers to predict: use "
        "\"mean_squared\", \"mean_absolute\" or \"huber\"");
  }
  if (kind != LossKind::cross_entropy && classes) {
    throw InvalidInput(
        fmt::format("loss = \"{}\" needs numbers to predict, and the data has {} classes: use "
                    "\"cross_entropy\"",
                    options.loss, data.classes));
  }
  return kind;
}

void check_output(const LayerList& list, const DataShape& data) {
  const std::int64_t wanted = data.classes > 0 ? data.classes : data.targets;
  if (list.output == Shape{wanted}) return;
  throw InvalidInput(fmt::format(
      "{} is the last layer and gives {} for each sample, but the data has {} {}: end with "
      "{{linear = {}}}",
      list.last_layer, join(list.output), wanted,
      data.classes > 0 ? "classes" : "numbers to predict", wanted));
}

Json layers_of(const ModelOptions& options, const DataShape& data) {
  if (options.name.empty()) return options.layers;
  const bool classes = data.classes > 0;
  const Form form{.outputs = classes ? data.classes : data.targets,
                  .classes = classes,
                  .is_row = data.sample_shape.size() == 1,
                  .hidden = options.hidden};
  for (const Model& model : models()) {
    if (model.name == options.name) return model.layers(form);
  }
  throw InvalidInput(fmt::format("unknown model '{}'", options.name));
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Model& model : models()) names.push_back(model.name);
  return names;
}

std::vector<std::string> ModelOptions::problems() const {
  std::vector<std::string> faults;
  const bool has_layers = !layers.is_null() && !(layers.is_array() && layers.empty());
  if (name.empty() && !has_layers) {
    faults.push_back(fmt::format("[model] has neither name nor layers: give name = one of {}",
                                 fmt::join(model_names(), ", ")));
  }
  if (!name.empty() && has_layers) {
    faults.push_back(fmt::format("[model] has both name = \"{}\" and layers: give one", name));
  }
  const auto known = model_names();
  if (!name.empty() && std::find(known.begin(), known.end(), name) == known.end()) {
    const auto meant = nearest(name, known);
    faults.push_back(
        meant ? fmt::format("unknown model '{}': did you mean '{}'?", name, *meant)
              : fmt::format("unknown model '{}': there are {}", name, fmt::join(known, ", ")));
  }
  for (const std::int64_t width : hidden) {
    if (width < 1 || width > 1 << 24) {
      faults.push_back(
          fmt::format("hidden has {}: give whole numbers from 1 to {}", width, 1 << 24));
    }
  }
  if (loss != "auto" && !losses().contains(loss)) {
    faults.push_back(fmt::format(
        "loss is '{}': give auto, cross_entropy, mean_squared, mean_absolute or huber", loss));
  }
  if (has_layers) {
    for (auto& fault : layer_faults(layers)) faults.push_back(std::move(fault));
  }
  return faults;
}

OptionTable describe(ModelOptions& options) {
  return {
      "model",
      "What is trained: a model by name, or a chain of layers.",
      {
          option("name", options.name,
                 fmt::format("One of {}; empty with layers.", fmt::join(model_names(), ", "))),
          option("layers", options.layers,
                 "A chain written out: [\"flatten\", {linear = 128}, \"relu\", {dropout = 0.2}, "
                 "{linear = 10}]. An entry is a block; a list of entries makes one block. "
                 "Layers: linear, conv, pool, avg_pool, flatten, reshape, relu, tanh, gelu, "
                 "softmax, batch_norm, layer_norm, dropout, dropout2d, wait."),
          option(
              "loss", options.loss,
              "auto, cross_entropy, mean_squared, mean_absolute or huber; auto follows the data's "
              "labels: cross_entropy for classes, mean_squared for numbers."),
          option("hidden", options.hidden, "Widths of the hidden layers of \"mlp\"."),
      }};
}

Chain make_chain(const ModelOptions& options, const DataShape& data) {
  require_none(options.problems());
  if (data.sample_shape.empty()) {
    throw InvalidInput("the data's samples have no shape: a sample is one row at least");
  }
  const LossKind loss = loss_kind(options, data);
  try {
    const LayerList list = layer_list(layers_of(options, data), data.sample_shape);
    check_output(list, data);
    return Chain(list.blocks, loss);
  } catch (InvalidInput& error) {
    if (!options.name.empty()) error.add_context("model " + options.name);
    throw;
  }
}

}  // namespace shoal
