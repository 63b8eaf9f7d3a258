// The world with named axes, for example {pipe: 2, data: 2, tensor: 2}.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

// Ranks are laid out row-major: the last axis varies fastest. A plain value.
class Mesh {
 public:
  using Axes = std::vector<std::pair<std::string, std::int64_t>>;

  Mesh() = default;  // one worker, no axes
  // Throws InvalidInput for an empty or repeated name or a size below 1.
  explicit Mesh(Axes axes);

  const Axes& axes() const { return axes_; }
  int size() const;                             // product of the axes; 1 without axes
  int axis_size(const std::string& axis) const;  // 1 when there is no such axis
  bool has(const std::string& axis) const;
  int coordinate(int rank, const std::string& axis) const;  // 0 when there is no such axis
  // The world ranks that share with `rank` every coordinate except those along `axes`, ascending:
  // the group of `rank` over these axes.
  std::vector<int> ranks_along(const std::vector<std::string>& axes, int rank) const;
  // Names that group: "data", "data+tensor"; the other axes of size > 1 follow as "data@pipe=1".
  std::string group_name(const std::vector<std::string>& axes, int rank) const;
  // "pipe 2 x data 2", "1 worker"
  std::string text() const;

  friend bool operator==(const Mesh&, const Mesh&) = default;

 private:
  Axes axes_;
};

}  // namespace shoal
