// Which part of a global tensor somebody holds: what checkpoints write, and what resharding needs
// to bring tensors from one mesh to another.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "shoal/core/partition.h"
#include "shoal/mesh/layout.h"
#include "shoal/mesh/mesh.h"

namespace shoal {

// A dimension of a tensor. One that is a product, such as qkv x heads x head_dim, is given as its
// factors: then every part is a box.
struct Dim {
  std::string name;
  std::int64_t size = 0;
  friend bool operator==(const Dim&, const Dim&) = default;
};

// A plain value. A scalar has no dims and one element.
struct Placement {
  std::string name;                 // of the global tensor
  std::vector<std::int64_t> shape;  // of the global tensor
  std::vector<Range> box;           // one a dim, within the shape
  Range elements;                   // within the box, in row-major order: a sharded part of it

  std::int64_t box_size() const;  // elements of the box
  std::int64_t size() const { return elements.size(); }
  bool is_whole() const;  // holds the whole tensor
  // Every fault: sizes below 0, a box that leaves the shape, elements outside the box, more
  // elements than 63 bits count. The other functions need a placement without faults.
  std::vector<std::string> problems() const;

  friend bool operator==(const Placement&, const Placement&) = default;
};

// The whole tensor.
Placement whole(std::string name, std::vector<std::int64_t> shape);

// The box of `rank`. A dim split over several axes is cut row-major in the order of its axes; parts
// are those of part_of. Throws InvalidInput with layout.problems_of.
Placement placement_of(const std::string& name, const std::vector<Dim>& dims, const Layout& layout,
                       const Mesh& mesh, int rank);

// Part `index` of `parts` of what `placement` holds, as sharding over a group cuts it: contiguous
// in row-major order, sizes as part_of gives them.
Placement shard_of(const Placement& placement, std::int64_t parts, std::int64_t index);

// `count` elements that lie together in both holders' memory: first at `from` of what one holds,
// first at `to` of what the other holds.
struct CommonRun {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t count = 0;
  friend bool operator==(const CommonRun&, const CommonRun&) = default;
};

// What both hold, as runs ascending in `to`, as long as they can be; empty when nothing. Offsets
// count from each one's first held element. The placements are of one global tensor (checked).
// Cost: as many steps as rows of the common box, a row being what is contiguous in both.
std::vector<CommonRun> common_runs(const Placement& from, const Placement& to);

// Faults of a set of placements of one tensor that should hold every element exactly once.
std::vector<std::string> coverage_problems(const std::vector<Placement>& placements);

nlohmann::json to_json(const Placement& placement);
// Throws InvalidInput for another structure or a placement with problems().
Placement placement_from_json(const nlohmann::json& json);

}  // namespace shoal
