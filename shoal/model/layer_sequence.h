// Layers one after the other: what a block, and each branch of a residual layer, is made of.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shoal/model/layer.h"

namespace shoal {

// A single layer's tensors keep their names ("weight"); among several they are called by layer too
// ("conv.weight", "linear_2.bias").
class LayerSequence final : public Layer {
 public:
  using Named = std::pair<std::string, std::shared_ptr<Layer>>;
  explicit LayerSequence(std::vector<Named> layers);

  at::Tensor forward(const at::Tensor& x, const Context& context, bool may_overwrite) override;
  bool output_is_free() const override;
  void initialise(const InitialValues& values) override;
  std::vector<std::string> dims_of(const std::string& tensor) const override;
  Waits waits() const override;
  bool empty() const { return layers_.empty(); }

 private:
  std::vector<Named> layers_;
};

// Builds the layers of `entries`, which follow each other from `input` on. `full_name` keys their
// random numbers: "3.residual.body".
std::shared_ptr<LayerSequence> build_sequence(const std::vector<LayerEntry>& entries,
                                              const Shape& input, const std::string& full_name);

// Shape of a sample after the layers; `last` names the layer before them, and after the call their
// last one. Throws InvalidInput naming the layer that cannot follow, and the shape before it.
Shape shape_after(const std::vector<LayerEntry>& entries, Shape input, const std::string& place,
                  std::string& last);

// Makes the parameters, buffers and submodules of `from` those of `into`, under the same names.
void share_tensors(torch::nn::Module& from, torch::nn::Module& into);

}  // namespace shoal
