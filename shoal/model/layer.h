// A layer: a step inside a block of a chain that is written out in a job file.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shoal/model/block.h"
#include "shoal/model/initial_values.h"

namespace shoal {

using Shape = std::vector<std::int64_t>;  // of one sample

// May keep parameters and buffers, nothing else between calls. x: [samples, ...].
class Layer : public torch::nn::Module {
 public:
  // `may_overwrite`: x belongs to nobody else and no backward reads it, so it can be the output.
  virtual at::Tensor forward(const at::Tensor& x, const Context& context, bool may_overwrite) = 0;
  // True when no backward reads the output, so the next layer may overwrite it.
  virtual bool output_is_free() const { return false; }
  virtual void initialise(const InitialValues& /*values*/) {}
  // Names of the dimensions of one of its tensors, "" where there is none; `tensor`: "weight".
  virtual std::vector<std::string> dims_of(const std::string& tensor) const;
  virtual Waits waits() const { return {}; }
};

// One setting of a layer: a number within bounds, a yes or no, a list of sizes, or a list of
// layers.
struct LayerSetting {
  enum class Kind : std::uint8_t { whole, number, yes_no, sizes, layers };
  std::string name;
  Kind kind = Kind::whole;
  std::optional<double> standard = {};  // absent: must be given; layers: any number, none of them
  double low = 1;                       // inclusive
  double high = 1 << 24;                // inclusive; exclusive for Kind::number
};

struct LayerEntry;

struct LayerSettings {
  std::map<std::string, double> numbers;
  Shape sizes;
  std::map<std::string, std::vector<LayerEntry>> layers;
  double number(const std::string& name) const { return numbers.at(name); }
  std::int64_t whole(const std::string& name) const {
    return static_cast<std::int64_t>(numbers.at(name));
  }
  bool yes(const std::string& name) const { return numbers.at(name) != 0; }
};

// A kind of layer. `name` is its key in a job file; when `settings` begins with one of that name,
// the key takes a value ({linear = 128}), else the name stands alone ("relu").
struct LayerType {
  std::string name;
  std::vector<LayerSetting> settings;
  // Shape of a sample after the layer; throws InvalidInput saying what the layer takes instead.
  std::function<Shape(const LayerSettings&, const Shape&)> output_shape;
  // `full_name` ("1.dropout") keys the layer's random numbers.
  std::function<std::shared_ptr<Layer>(const LayerSettings&, const Shape& input,
                                       const std::string& full_name)>
      build;
  bool takes_value() const { return !settings.empty() && settings.front().name == name; }
};

// One layer as it stands in a job file.
struct LayerEntry {
  LayerType type;
  LayerSettings settings;
};

// Every kind, in the order of documentation.
std::vector<LayerType> layer_types();

std::vector<LayerType> weight_layers();      // linear, conv
std::vector<LayerType> sequence_layers();    // embedding, conv1d
std::vector<LayerType> shape_layers();       // pools, subsample, flatten, reshape
std::vector<LayerType> activation_layers();  // relu, tanh, gelu, softmax
std::vector<LayerType> norm_layers();        // batch_norm, layer_norm
std::vector<LayerType> dropout_layers();     // dropout, dropout2d
std::vector<LayerType> residual_layers();    // residual
std::vector<LayerType> wait_layers();        // wait

// Shape rules that layers share.
Shape same_shape(const LayerSettings& settings, const Shape& input);
void require_image(const Shape& input);  // [channels, height, width]
void require_rows(const Shape& input);   // [features], or [positions, features]

}  // namespace shoal
