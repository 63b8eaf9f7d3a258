// Which named dimension is split over which axes of the mesh.
// Source: Shazeer et al., Mesh-TensorFlow, NeurIPS 2018, section 3.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shoal/mesh/mesh.h"

namespace shoal {

// A plain value. Dims that it does not name are not split.
struct Layout {
  std::map<std::string, std::vector<std::string>> axes_of_dim;

  // {batch: data} when the mesh has an axis "data", else nothing.
  static Layout standard(const Mesh& mesh);

  // Axes of size > 1 that split `dim`, in the order given.
  std::vector<std::string> axes_of(const std::string& dim, const Mesh& mesh) const;
  // Every fault: an axis the mesh lacks (and is not "pipe"'s business), one axis named twice for
  // a dim, one axis that splits two dims of one tensor is checked by problems_of.
  std::vector<std::string> problems(const Mesh& mesh) const;
  // Faults of one tensor: two of its dims split over one axis, or a size that does not divide
  // (unless the dim is uneven: batch and vocab are).
  std::vector<std::string> problems_of(const std::string& tensor,
                                       const std::vector<std::string>& dims,
                                       const std::vector<std::int64_t>& shape,
                                       const Mesh& mesh) const;
  // The one rule for gradients: a parameter's gradient is summed over every axis that splits a
  // dimension which the parameter lacks. In mesh order; axes of size 1 are left out.
  std::vector<std::string> gradient_axes(const std::vector<std::string>& parameter_dims,
                                         const Mesh& mesh) const;

  friend bool operator==(const Layout&, const Layout&) = default;
};

}  // namespace shoal
