// The world with named axes, for example {pipe: 2, data: 2, tensor: 2}.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

// Ranks are laid out row-major: the last axis varies fastest. A plain value. Ranks given to its
// functions are within 0..size()-1 (checked).
class Mesh {
 public:
  using Axes = std::vector<std::pair<std::string, std::int64_t>>;

  Mesh() = default;  // one worker, no axes
  // Throws InvalidInput with problems(axes).
  explicit Mesh(Axes axes);
  // Every fault: a repeated name, one that is not made of letters, digits, '_' and '-', a size
  // below 1, more workers than an int counts. Empty when usable.
  static std::vector<std::string> problems(const Axes& axes);

  const Axes& axes() const { return axes_; }
  int size() const;                              // product of the axes; 1 without axes
  int axis_size(const std::string& axis) const;  // 1 when there is no such axis
  bool has(const std::string& axis) const;
  int coordinate(int rank, const std::string& axis) const;  // 0 when there is no such axis
  std::vector<int> coordinates(int rank) const;             // one an axis, in order of axes()
  // The rank at coordinates(), one an axis, each within its axis (checked).
  int rank_at(const std::vector<int>& coordinates) const;

  // The world ranks that share with `rank` every coordinate except those along `axes`, ascending:
  // the group of `rank` over these axes. Names that are no axis add nobody.
  std::vector<int> ranks_along(const std::vector<std::string>& axes, int rank) const;
  // Names that group by its axes of size > 1 in mesh order, "data" or "data+tensor", and where
  // there are others of size > 1, by the coordinates that its members share: "data@pipe=1",
  // "data@pipe=1,tensor=0". "self" is a group of one. Equal for all members, different for others.
  std::string group_name(const std::vector<std::string>& axes, int rank) const;
  // "pipe 2 x data 2", "1 worker"
  std::string text() const;

  friend bool operator==(const Mesh&, const Mesh&) = default;

 private:
  Axes axes_;
};

}  // namespace shoal
