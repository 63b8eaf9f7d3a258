#include "shoal/mesh/placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

// Nothing when it does not fit.
std::optional<std::int64_t> product(const std::vector<std::int64_t>& sizes) {
  if (std::ranges::find(sizes, 0) != sizes.end()) return 0;
  std::int64_t result = 1;
  for (const std::int64_t size : sizes) {
    if (size > std::numeric_limits<std::int64_t>::max() / result) return std::nullopt;
    result *= size;
  }
  return result;
}

std::string text_of(const Range& range) { return fmt::format("[{}, {})", range.begin, range.end); }

Range common(const Range& a, const Range& b) {
  const std::int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

// Row-major offset in `box` of the element at global position `at`.
std::int64_t offset_in(const std::vector<Range>& box, const std::vector<std::int64_t>& at) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < box.size(); ++i) {
    offset = offset * box[i].size() + (at[i] - box[i].begin);
  }
  return offset;
}

// Cuts a run, whose offsets count in the boxes, down to what both hold of their boxes, and makes
// the offsets count from the first held element. Joins it to the last of `runs` where it goes on
// there.
void add_held(CommonRun run, const Range& held_from, const Range& held_to,
              std::vector<CommonRun>& runs) {
  const std::int64_t skip =
      std::max({std::int64_t{0}, held_from.begin - run.from, held_to.begin - run.to});
  const std::int64_t end = std::min({run.count, held_from.end - run.from, held_to.end - run.to});
  if (end <= skip) return;
  run = {run.from + skip - held_from.begin, run.to + skip - held_to.begin, end - skip};
  if (!runs.empty()) {
    CommonRun& last = runs.back();
    if (last.from + last.count == run.from && last.to + last.count == run.to) {
      last.count += run.count;
      return;
    }
  }
  runs.push_back(run);
}

}  // namespace

std::int64_t Placement::box_size() const {
  std::int64_t size = 1;
  for (const Range& range : box) size *= range.size();
  return size;
}

bool Placement::is_whole() const {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (box[i] != Range{0, shape[i]}) return false;
  }
  return elements == Range{0, box_size()};
}

std::vector<std::string> Placement::problems() const {
  if (box.size() != shape.size()) {
    return {
        fmt::format("placement of {}: {} dims but a box of {}", name, shape.size(), box.size())};
  }
  std::vector<std::string> faults;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      faults.push_back(fmt::format("placement of {}: dim {} has size {}", name, i, shape[i]));
    } else if (box[i].begin < 0 || box[i].end < box[i].begin || box[i].end > shape[i]) {
      faults.push_back(fmt::format("placement of {}: {} of dim {} is not within its size {}", name,
                                   text_of(box[i]), i, shape[i]));
    }
  }
  if (!faults.empty()) return faults;
  if (!product(shape)) {
    return {fmt::format("placement of {}: shape {} has more elements than can be counted", name,
                        shape)};
  }
  if (elements.begin < 0 || elements.end < elements.begin || elements.end > box_size()) {
    faults.push_back(fmt::format("placement of {}: elements {} are not within the {} of its box",
                                 name, text_of(elements), box_size()));
  }
  return faults;
}

Placement whole(std::string name, std::vector<std::int64_t> shape) {
  Placement placement{
      .name = std::move(name), .shape = std::move(shape), .box = {}, .elements = {}};
  for (const std::int64_t size : placement.shape) placement.box.push_back({0, size});
  placement.elements = {0, placement.box_size()};
  return placement;
}

Placement placement_of(const std::string& name, const std::vector<Dim>& dims, const Layout& layout,
                       const Mesh& mesh, int rank) {
  std::vector<std::string> names;
  std::vector<std::int64_t> shape;
  for (const Dim& dim : dims) {
    names.push_back(dim.name);
    shape.push_back(dim.size);
  }
  require_none(layout.problems_of(name, names, shape, mesh));
  Placement placement = whole(name, std::move(shape));
  for (std::size_t i = 0; i < dims.size(); ++i) {
    std::int64_t parts = 1;
    std::int64_t index = 0;
    for (const std::string& axis : layout.axes_of(dims[i].name, mesh)) {
      parts *= mesh.axis_size(axis);
      index = index * mesh.axis_size(axis) + mesh.coordinate(rank, axis);
    }
    placement.box[i] = part_of(dims[i].size, parts, index);
  }
  placement.elements = {0, placement.box_size()};
  return placement;
}

Placement shard_of(const Placement& placement, std::int64_t parts, std::int64_t index) {
  const Range part = part_of(placement.size(), parts, index);
  Placement shard = placement;
  shard.elements = {placement.elements.begin + part.begin, placement.elements.begin + part.end};
  return shard;
}

std::vector<CommonRun> common_runs(const Placement& from, const Placement& to) {
  check(from.name == to.name && from.shape == to.shape,
        fmt::format("{} {} and {} {} are one global tensor", from.name, from.shape, to.name,
                    to.shape));
  std::vector<CommonRun> runs;
  const std::size_t dims = from.box.size();
  std::vector<Range> box(dims);
  for (std::size_t i = 0; i < dims; ++i) {
    box[i] = common(from.box[i], to.box[i]);
    if (box[i].empty()) return runs;
  }
  // Dims row, row + 1, ... of the common box lie together in both boxes: all after `row` are whole.
  std::size_t row = dims;
  std::int64_t row_length = 1;
  while (row > 0) {
    --row;
    row_length *= box[row].size();
    if (box[row] != from.box[row] || box[row] != to.box[row]) break;
  }
  std::vector<std::int64_t> at;  // the row's first element
  for (const Range& range : box) at.push_back(range.begin);
  for (;;) {
    add_held({offset_in(from.box, at), offset_in(to.box, at), row_length}, from.elements,
             to.elements, runs);
    std::size_t i = row;
    for (; i > 0; --i) {  // counts on, the last dim before `row` fastest
      if (++at[i - 1] < box[i - 1].end) break;
      at[i - 1] = box[i - 1].begin;
    }
    if (i == 0) return runs;
  }
}

std::vector<std::string> coverage_problems(const std::vector<Placement>& placements) {
  if (placements.empty()) return {"nobody holds any part"};
  const Placement& first = placements.front();
  std::vector<std::string> faults;
  std::int64_t held = 0;
  for (std::size_t i = 0; i < placements.size(); ++i) {
    const Placement& placement = placements[i];
    if (placement.name != first.name || placement.shape != first.shape) {
      faults.push_back(fmt::format("{} {} is another tensor than {} {}", placement.name,
                                   placement.shape, first.name, first.shape));
      continue;
    }
    held += placement.size();
    for (std::size_t k = 0; k < i; ++k) {
      if (placements[k].shape != placement.shape || placements[k].name != placement.name) continue;
      std::int64_t twice = 0;
      for (const CommonRun& run : common_runs(placements[k], placement)) twice += run.count;
      if (twice == 0) continue;
      faults.push_back(
          fmt::format("{}: parts {} and {} both hold {} elements", first.name, k, i, twice));
    }
  }
  const std::int64_t total = product(first.shape).value_or(-1);
  // Without a part that overlaps another, counting is enough.
  if (faults.empty() && held != total) {
    faults.push_back(fmt::format("{}: the parts hold {} of {} elements", first.name, held, total));
  }
  return faults;
}

}  // namespace shoal
