// Which named dimension is split over which axes of the mesh.
// Source: Shazeer et al., Mesh-TensorFlow, NeurIPS 2018, section 3.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shoal/mesh/mesh.h"

namespace shoal {

// Dims whose parts may differ by one: "batch" and "vocab". Others have to divide.
bool may_be_uneven(const std::string& dim);

// A plain value. Dims that it does not name are not split.
struct Layout {
  std::map<std::string, std::vector<std::string>> axes_of_dim;

  // {batch: data} when the mesh has an axis "data", else nothing.
  static Layout standard(const Mesh& mesh);

  // Axes of size > 1 that split `dim`, in the order given.
  std::vector<std::string> axes_of(const std::string& dim, const Mesh& mesh) const;
  // Every fault: an axis that the mesh lacks, one axis named twice for a dim. "pipe" is no fault
  // here: it splits blocks, which a plan knows about.
  std::vector<std::string> problems(const Mesh& mesh) const;
  // Faults of one tensor: two of its dims split over one axis, a size that does not divide (unless
  // may_be_uneven), as many dims as sizes.
  std::vector<std::string> problems_of(const std::string& tensor,
                                       const std::vector<std::string>& dims,
                                       const std::vector<std::int64_t>& shape,
                                       const Mesh& mesh) const;

  // The one rule for gradients: a parameter's gradient is summed over every axis that splits a
  // dimension which the parameter lacks. In mesh order; axes of size 1 are left out.
  // The dimensions that count are those of the computation the parameter takes part in: its inputs
  // and outputs, for example batch, sequence, hidden of a norm's weight. Its gradient is then not
  // summed over an axis that splits only "ffn" elsewhere: there all ranks have the same one.
  std::vector<std::string> gradient_axes(const std::vector<std::string>& parameter_dims,
                                         const std::vector<std::string>& activation_dims,
                                         const Mesh& mesh) const;
  // The same for a computation that has every dimension which this layout names.
  std::vector<std::string> gradient_axes(const std::vector<std::string>& parameter_dims,
                                         const Mesh& mesh) const;

  friend bool operator==(const Layout&, const Layout&) = default;
};

}  // namespace shoal
