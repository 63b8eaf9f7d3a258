#include "shoal/model/zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>

#include "shoal/core/error.h"
#include "shoal/model/layer_list.h"
#include "shoal/model/model_form.h"
#include "shoal/model/plugin_models.h"

namespace shoal {
namespace {

using Json = nlohmann::json;

using Form = ModelForm;

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

// A number for each output: regression without a hidden layer.
Json linear_regression(const Form& form) {
  return block({form.on_row(block({{{"linear", form.outputs}}}))});
}

std::vector<Model> models() {
  return {{"mynet", mynet},
          {"keras", keras},
          {"mlp", mlp},
          {"wide", wide},
          {"convnet", convnet},
          {"softmax", softmax},
          {"linear", linear_regression},
          {"resnet18", resnet18},
          {"resnet34", resnet34},
          {"resnet50", resnet50},
          {"resnet20", resnet20},
          {"resnet56", resnet56},
          {"resnet164", resnet164},
          {"vgg19", vgg19},
          {"vgg19_bn", vgg19_bn},
          {"bigram", bigram},
          {"tcn", tcn}};
}

// `batch_norm` = "global" as an option of every layer that it concerns.
Json with_global_batch_norm(const Json& entry) {
  if (entry.is_array()) {
    Json list = Json::array();
    for (const Json& one : entry) list.push_back(with_global_batch_norm(one));
    return list;
  }
  if (entry == "batch_norm") return {{"batch_norm", true}, {"global", true}};
  if (!entry.is_object()) return entry;
  Json table = entry;
  if (table.contains("batch_norm") && !table.contains("global")) table["global"] = true;
  for (const char* branch : {"residual", "shortcut"}) {
    if (table.contains(branch)) table[branch] = with_global_batch_norm(table[branch]);
  }
  return table;
}

void add_layers(Json& entry, std::vector<Json*>& all) {
  if (!entry.is_array()) {
    all.push_back(&entry);
    return;
  }
  for (Json& one : entry) add_layers(one, all);
}

bool holds_embedding(const Json& entry) {
  if (entry.is_array()) return std::any_of(entry.begin(), entry.end(), holds_embedding);
  if (!entry.is_object()) return entry == "embedding";
  if (entry.contains("embedding")) return true;
  return std::any_of(entry.begin(), entry.end(),
                     [](const Json& value) { return value.is_array() && holds_embedding(value); });
}

// Ids go through one embedding, which is the first layer and learns from the data how many there
// are; nothing else takes them, and it takes nothing else.
Json with_vocabulary(Json layers, std::int64_t ids) {
  std::vector<Json*> all;
  add_layers(layers, all);
  const bool begins = all.front()->is_object() && all.front()->contains("embedding");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!holds_embedding(*all[i]) || (i == 0 && begins && ids > 0)) continue;
    throw InvalidInput(ids > 0
                           ? "\"embedding\" takes the ids of the data: it can only be the first "
                             "layer"
                           : "\"embedding\" takes ids, as data.name = \"text\" gives them, and "
                             "the data's samples are numbers");
  }
  if (ids == 0) return layers;
  if (!begins) {
    throw InvalidInput(fmt::format(
        "the data's samples are ids of 0 to {}, which only \"embedding\" takes: begin with "
        "{{embedding = 64}}",
        ids - 1));
  }
  const std::int64_t given = all.front()->value("vocabulary", std::int64_t{0});
  if (given != 0 && given < ids) {
    throw InvalidInput(fmt::format(
        "embedding has vocabulary = {}, and the data has {} ids: leave it out", given, ids));
  }
  if (given == 0) (*all.front())["vocabulary"] = ids;
  return layers;
}

std::string join(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

const std::map<std::string, LossKind>& losses() {
  static const std::map<std::string, LossKind> by_name{
      {"cross_entropy", LossKind::cross_entropy},
      {"binary_cross_entropy", LossKind::binary_cross_entropy},
      {"mean_squared", LossKind::mean_squared},
      {"mean_absolute", LossKind::mean_absolute},
      {"huber", LossKind::huber}};
  return by_name;
}

enum class Answers : std::uint8_t { classes, labels, numbers };

Answers answers_of(const DataShape& data) {
  if (data.classes > 0) return Answers::classes;
  return data.yes_or_no ? Answers::labels : Answers::numbers;
}

const char* text_of(Answers answers) {
  switch (answers) {
    case Answers::classes:
      return "classes";
    case Answers::labels:
      return "labels of 0 and 1";
    case Answers::numbers:
      return "numbers to predict";
  }
  return "?";
}

std::string text_of(const DataShape& data) {
  std::string text = fmt::format("{} {}", data.classes > 0 ? data.classes : data.targets,
                                 text_of(answers_of(data)));
  if (data.positions.empty()) return text;
  return fmt::format("{} at each of {} positions", text, fmt::join(data.positions, " x "));
}

LossKind loss_kind(const ModelOptions& options, const DataShape& data) {
  const Answers answers = answers_of(data);
  const auto is_for = [](LossKind kind) {
    if (kind == LossKind::cross_entropy) return Answers::classes;
    return kind == LossKind::binary_cross_entropy ? Answers::labels : Answers::numbers;
  };
  if (options.loss == "auto") {
    return answers == Answers::classes  ? LossKind::cross_entropy
           : answers == Answers::labels ? LossKind::binary_cross_entropy
                                        : LossKind::mean_squared;
  }
  const LossKind kind = losses().at(options.loss);
  if (is_for(kind) == answers) return kind;
  std::vector<std::string> fitting;
  for (const auto& [name, other] : losses()) {
    if (is_for(other) == answers) fitting.push_back(fmt::format("\"{}\"", name));
  }
  throw InvalidInput(
      fmt::format("loss = \"{}\" needs {}, and the data has {}: use {}{}", options.loss,
                  text_of(is_for(kind)), text_of(data), fmt::join(fitting, ", "),
                  is_for(kind) == Answers::labels ? ", or set data.task = \"multi-label\"" : ""));
}

void check_output(const LayerList& list, const DataShape& data) {
  const std::int64_t wanted = data.classes > 0 ? data.classes : data.targets;
  Shape output = data.positions;
  output.push_back(wanted);
  if (list.output == output) return;
  throw InvalidInput(
      fmt::format("{} is the last layer and gives {} for each sample, but the data has {}: end "
                  "with {}{{linear = {}}}",
                  list.last_layer, join(list.output), text_of(data),
                  list.output.size() > output.size() ? "\"flatten\", " : "", wanted));
}

ModelRequest request_of(const ModelOptions& options, const DataShape& data, LossKind loss) {
  ModelRequest request{
      .data = data, .loss = loss, .batch_norm = options.batch_norm, .settings = options.settings};
  if (request.settings.is_null()) request.settings = Json::object();
  return request;
}

Json layers_of(const ModelOptions& options, const DataShape& data, const ModelParts& parts,
               LossKind loss) {
  if (options.name.empty()) return options.layers;
  const bool classes = data.classes > 0;
  const Form form{.outputs = classes ? data.classes : data.targets,
                  .classes = classes,
                  .is_row = data.sample_shape.size() == 1,
                  .sample_shape = data.sample_shape,
                  .hidden = options.hidden,
                  .pictures = options.form};
  for (const Model& model : models()) {
    if (model.name == options.name) return model.layers(form);
  }
  if (const ModelMaker* const own = parts.find(options.name)) {
    return layers_of_plugin(*own, request_of(options, data, loss));
  }
  throw InvalidInput(fmt::format("unknown model '{}'", options.name));
}

at::MemoryFormat kernel_format(const ModelOptions& options, const DataShape& data) {
  switch (options.picture_layout) {
    case PictureLayout::channels_first:
      return at::MemoryFormat::Contiguous;
    case PictureLayout::channels_last:
      return at::MemoryFormat::ChannelsLast;
    case PictureLayout::automatic:
      break;
  }
  // Where kernels read many channels, LibTorch's are faster so; with few they are not.
  const bool deep = options.name.starts_with("resnet") || options.name.starts_with("vgg");
  return deep && data.sample_shape.size() == 3 ? at::MemoryFormat::ChannelsLast
                                               : at::MemoryFormat::Contiguous;
}

// What is wrong with name, plugin and settings beside each other.
std::vector<std::string> name_faults(const ModelOptions& options, const ModelParts& parts) {
  std::vector<std::string> faults;
  const std::string& name = options.name;
  std::vector<std::string> known = model_names();
  const bool of_zoo = std::find(known.begin(), known.end(), name) != known.end();
  const bool of_plugin = parts.find(name) != nullptr;
  const auto own = parts.own_models();
  known.insert(known.begin(), own.begin(), own.end());
  if (!name.empty() && !of_zoo && !of_plugin) {
    const auto meant = nearest(name, known);
    faults.push_back(
        meant ? fmt::format("unknown model '{}': did you mean '{}'?", name, *meant)
              : fmt::format("unknown model '{}': there are {}", name, fmt::join(known, ", ")));
  }
  if (of_zoo && !options.plugin.empty()) {
    faults.push_back(
        fmt::format("[model] plugin = \"{}\" has no effect, for the model '{}' is shoal's own: "
                    "leave it out, or "
                    "name {}",
                    options.plugin, name,
                    own.empty() ? "a layer of it in [model] layers"
                                : fmt::format("one of the plugin's: {}", fmt::join(own, ", "))));
  }
  if (options.settings.is_null()) return faults;
  if (of_zoo || name.empty()) {
    faults.emplace_back(
        "[model] settings is given: only a model of a plugin is told them; leave them out");
  } else if (of_plugin && !options.settings.is_object()) {
    faults.push_back(fmt::format("[model] settings is {}: give a table such as {{ width = 32 }}",
                                 options.settings.dump()));
  }
  return faults;
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
  std::vector<LayerType> types = layer_types();
  try {
    const ModelParts parts(plugin);
    types = parts.layers();
    for (auto& fault : name_faults(*this, parts)) faults.push_back(std::move(fault));
  } catch (const Error& error) {
    faults.push_back(fmt::format("model.plugin: {}", error.what()));
    return faults;  // what would be found beside is for want of the plugin
  }
  for (const std::int64_t width : hidden) {
    if (width < 1 || width > 1 << 24) {
      faults.push_back(
          fmt::format("hidden has {}: give whole numbers from 1 to {}", width, 1 << 24));
    }
  }
  if (loss != "auto" && !losses().contains(loss)) {
    faults.push_back(
        fmt::format("loss is '{}': give auto, cross_entropy, binary_cross_entropy, mean_squared, "
                    "mean_absolute or huber",
                    loss));
  }
  if (has_layers) {
    for (auto& fault : layer_faults(layers, types)) faults.push_back(std::move(fault));
  }
  return faults;
}

OptionTable describe(ModelOptions& options) {
  return {
      "model",
      "What is trained: a model by name, or a chain of layers.",
      {
          with_values(
              option("name", options.name,
                     fmt::format("One of {}; empty with layers.", fmt::join(model_names(), ", "))),
              model_names()),
          option("plugin", options.plugin,
                 "A library of models and layers that are not shoal's own, built with "
                 "shoal_add_plugin; its models are names, and its layers stand in layers, beside "
                 "shoal's."),
          option("settings", options.settings,
                 "A table that a plugin's model is told, for example { width = 32 }."),
          option(
              "layers", options.layers,
              "A chain written out: [\"flatten\", {linear = 128}, \"relu\", {dropout = 0.2}, "
              "{linear = 10}]. An entry is a block; a list of entries makes one block. "
              "Layers: linear, conv, embedding, conv1d, pool, avg_pool, global_avg_pool, "
              "subsample, flatten, "
              "reshape, relu, tanh, gelu, "
              "softmax, batch_norm, layer_norm, dropout, dropout2d, residual, wait. {residual = "
              "[...], shortcut = [...]} adds what two lists of layers make of one input; without "
              "shortcut, the input itself."),
          with_values(
              option("loss", options.loss,
                     "auto, cross_entropy, binary_cross_entropy, mean_squared, mean_absolute or "
                     "huber; auto follows the data: cross_entropy for classes, "
                     "binary_cross_entropy for task = \"multi-label\", mean_squared for numbers."),
              {"auto", "cross_entropy", "binary_cross_entropy", "mean_squared", "mean_absolute",
               "huber"}),
          only_with({"name", {"mlp"}},
                    option("hidden", options.hidden, "Widths of the hidden layers.")),
          only_with({"name", {"resnet18", "resnet34", "resnet50", "vgg19", "vgg19_bn"}},
                    choice("form", options.form,
                           {{"auto", PictureForm::automatic},
                            {"cifar", PictureForm::cifar},
                            {"imagenet", PictureForm::imagenet}},
                           "How the model begins and ends. \"cifar\" suits small pictures, "
                           "\"imagenet\" those of 224 x 224; \"auto\": cifar up to 64 x 64.")),
          choice("picture_layout", options.picture_layout,
                 {{"auto", PictureLayout::automatic},
                  {"channels_first", PictureLayout::channels_first},
                  {"channels_last", PictureLayout::channels_last}},
                 "How pictures lie in memory between layers; changes speed, and results to "
                 "rounding. \"auto\": channels last for the ResNets and VGGs."),
          choice("batch_norm", options.batch_norm,
                 {{"local", BatchNormScope::local}, {"global", BatchNormScope::global}},
                 "Whose samples batch_norm layers take mean and variance of: \"local\": the "
                 "worker's own; \"global\": the whole batch's, so that results do not depend on "
                 "the number of workers."),
          option("weights", options.weights,
                 "What training begins with: a .safetensors file, a folder of NAME.npy files, or a "
                 "checkpoint; all parameters and buffers, in their shapes. Empty: initial values "
                 "that depend on the seed."),
      }};
}

Chain make_chain(const ModelOptions& options, const DataShape& data) {
  require_none(options.problems());
  if (data.sample_shape.empty()) {
    throw InvalidInput("the data's samples have no shape: a sample is one row at least");
  }
  const LossKind loss = loss_kind(options, data);
  const ModelParts parts(options.plugin);
  const ModelMaker* const own = parts.find(options.name);
  try {
    if (own != nullptr && own->chain) {
      Chain chain = chain_of_plugin(*own, request_of(options, data, loss));
      if (options.picture_layout != PictureLayout::automatic) {
        chain.set_kernel_format(kernel_format(options, data));
      }
      return chain;
    }
    Json layers = layers_of(options, data, parts, loss);
    if (options.batch_norm == BatchNormScope::global) layers = with_global_batch_norm(layers);
    const LayerList list =
        layer_list(with_vocabulary(layers, data.ids), data.sample_shape, parts.layers());
    check_output(list, data);
    Chain chain(list.blocks, loss);
    chain.set_kernel_format(kernel_format(options, data));
    return chain;
  } catch (InvalidInput& error) {
    if (own != nullptr)
      error.add_context(fmt::format("model {} of {}", options.name, options.plugin));
    if (own == nullptr && !options.name.empty()) error.add_context("model " + options.name);
    throw;
  }
}

}  // namespace shoal
