#include "shoal/mesh/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "shoal/core/options.h"

namespace shoal {
namespace {

std::string lacks_axis(const std::string& dim, const std::string& axis, const Mesh& mesh) {
  std::vector<std::string> known;
  for (const auto& [name, size] : mesh.axes()) known.push_back(name);
  const std::string fault = fmt::format(
      "layout splits '{}' over axis '{}', which the mesh ({}) lacks", dim, axis, mesh.text());
  if (const auto meant = nearest(axis, known)) {
    return fmt::format("{}: did you mean '{}'?", fault, *meant);
  }
  return fmt::format("{}: add the axis to the mesh, or take '{}' out of the layout", fault, dim);
}

}  // namespace

bool may_be_uneven(const std::string& dim) { return dim == "batch" || dim == "vocab"; }

Layout Layout::standard(const Mesh& mesh) {
  Layout layout;
  if (mesh.has("data")) layout.axes_of_dim["batch"] = {"data"};
  return layout;
}

std::vector<std::string> Layout::axes_of(const std::string& dim, const Mesh& mesh) const {
  std::vector<std::string> axes;
  const auto found = axes_of_dim.find(dim);
  if (found == axes_of_dim.end()) return axes;
  for (const std::string& axis : found->second) {
    if (mesh.axis_size(axis) > 1) axes.push_back(axis);
  }
  return axes;
}

std::vector<std::string> Layout::problems(const Mesh& mesh) const {
  std::vector<std::string> faults;
  for (const auto& [dim, axes] : axes_of_dim) {
    std::set<std::string> seen;
    for (const std::string& axis : axes) {
      if (!seen.insert(axis).second) {
        faults.push_back(
            fmt::format("layout splits '{}' over axis '{}' twice: name it once", dim, axis));
      } else if (!mesh.has(axis) && axis != "pipe") {
        faults.push_back(lacks_axis(dim, axis, mesh));
      }
    }
  }
  return faults;
}

std::vector<std::string> Layout::problems_of(const std::string& tensor,
                                             const std::vector<std::string>& dims,
                                             const std::vector<std::int64_t>& shape,
                                             const Mesh& mesh) const {
  if (dims.size() != shape.size()) {
    return {fmt::format("{} has {} dims ({}) but {} sizes: name each dim", tensor, dims.size(),
                        fmt::join(dims, ", "), shape.size())};
  }
  std::vector<std::string> faults;
  std::map<std::string, std::string> split_by;  // axis -> dim
  for (std::size_t i = 0; i < dims.size(); ++i) {
    std::int64_t parts = 1;
    const std::vector<std::string> axes = axes_of(dims[i], mesh);
    for (const std::string& axis : axes) {
      parts *= mesh.axis_size(axis);
      const auto [other, is_new] = split_by.emplace(axis, dims[i]);
      if (!is_new) {
        faults.push_back(fmt::format(
            "{}: axis '{}' splits both '{}' and '{}': a layout may split one dim of a tensor over "
            "an axis",
            tensor, axis, other->second, dims[i]));
      }
    }
    if (shape[i] % parts != 0 && !may_be_uneven(dims[i])) {
      faults.push_back(fmt::format(
          "{}: '{}' has size {}, which {} parts (axis {}) do not divide: choose a size or an axis "
          "that does",
          tensor, dims[i], shape[i], parts, fmt::join(axes, " x ")));
    }
  }
  return faults;
}

std::vector<std::string> Layout::gradient_axes(const std::vector<std::string>& parameter_dims,
                                               const std::vector<std::string>& activation_dims,
                                               const Mesh& mesh) const {
  std::set<std::string> summed;
  for (const std::string& dim : activation_dims) {
    if (std::ranges::find(parameter_dims, dim) != parameter_dims.end()) continue;
    for (const std::string& axis : axes_of(dim, mesh)) summed.insert(axis);
  }
  std::vector<std::string> in_mesh_order;
  for (const auto& [axis, size] : mesh.axes()) {
    if (summed.contains(axis)) in_mesh_order.push_back(axis);
  }
  return in_mesh_order;
}

std::vector<std::string> Layout::gradient_axes(const std::vector<std::string>& parameter_dims,
                                               const Mesh& mesh) const {
  std::vector<std::string> all;
  for (const auto& [dim, axes] : axes_of_dim) all.push_back(dim);
  return gradient_axes(parameter_dims, all, mesh);
}

}  // namespace shoal
