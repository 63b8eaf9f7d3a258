#include "shoal/mesh/mesh.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

// Group names put '+', '@', '=' and ',' between axis names.
bool is_usable_name(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::vector<std::string> Mesh::problems(const Axes& axes) {
  constexpr std::int64_t kMostWorkers = std::numeric_limits<int>::max();
  std::vector<std::string> faults;
  std::set<std::string> seen;
  std::int64_t workers = 1;
  for (const auto& [name, size] : axes) {
    if (!is_usable_name(name)) {
      faults.push_back(
          fmt::format("mesh axis '{}': give a name of letters, digits, '_' and '-'", name));
    }
    if (!seen.insert(name).second) {
      faults.push_back(fmt::format("mesh axis '{}' stands twice: give each name once", name));
    }
    if (size < 1) {
      faults.push_back(fmt::format("mesh axis '{}' has size {}: give 1 or more", name, size));
    } else if (workers <= kMostWorkers) {
      workers = size > kMostWorkers / workers ? kMostWorkers + 1 : workers * size;
    }
  }
  if (workers > kMostWorkers) {
    faults.push_back(
        fmt::format("the mesh has more than {} workers: give smaller axes", kMostWorkers));
  }
  return faults;
}

Mesh::Mesh(Axes axes) : axes_(std::move(axes)) { require_none(problems(axes_)); }

int Mesh::size() const {
  std::int64_t product = 1;
  for (const auto& [name, size] : axes_) product *= size;
  return static_cast<int>(product);
}

int Mesh::axis_size(const std::string& axis) const {
  for (const auto& [name, size] : axes_) {
    if (name == axis) return static_cast<int>(size);
  }
  return 1;
}

bool Mesh::has(const std::string& axis) const {
  return std::ranges::find(axes_, axis, &Axes::value_type::first) != axes_.end();
}

std::vector<int> Mesh::coordinates(int rank) const {
  check(rank >= 0 && rank < size(), fmt::format("rank {} is in the mesh {}", rank, text()));
  std::vector<int> result(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const int size = static_cast<int>(axes_[i].second);
    result[i] = rank % size;
    rank /= size;
  }
  return result;
}

int Mesh::coordinate(int rank, const std::string& axis) const {
  const std::vector<int> all = coordinates(rank);
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (axes_[i].first == axis) return all[i];
  }
  return 0;
}

int Mesh::rank_at(const std::vector<int>& coordinates) const {
  check_equal(coordinates.size(), axes_.size(), "one coordinate an axis");
  int rank = 0;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const int size = static_cast<int>(axes_[i].second);
    check(coordinates[i] >= 0 && coordinates[i] < size, "a coordinate is within its axis");
    rank = rank * size + coordinates[i];
  }
  return rank;
}

std::vector<int> Mesh::ranks_along(const std::vector<std::string>& axes, int rank) const {
  std::vector<int> first = coordinates(rank);
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (contains(axes, axes_[i].first)) first[i] = 0;
  }
  std::vector<int> ranks = {rank_at(first)};
  int stride = 1;  // ranks from one coordinate of an axis to the next
  for (std::size_t i = axes_.size(); i-- > 0;) {
    const int size = static_cast<int>(axes_[i].second);
    if (contains(axes, axes_[i].first)) {
      const std::size_t so_far = ranks.size();
      for (int step = 1; step < size; ++step) {
        for (std::size_t k = 0; k < so_far; ++k) ranks.push_back(ranks[k] + step * stride);
      }
    }
    stride *= size;
  }
  return ranks;  // ascending: the fastest axis was added first
}

std::string Mesh::group_name(const std::vector<std::string>& axes, int rank) const {
  const std::vector<int> at = coordinates(rank);
  std::vector<std::string> along;
  std::vector<std::string> shared;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const auto& [name, size] = axes_[i];
    if (size == 1) continue;
    if (contains(axes, name)) {
      along.push_back(name);
    } else {
      shared.push_back(fmt::format("{}={}", name, at[i]));
    }
  }
  std::string text = along.empty() ? "self" : fmt::format("{}", fmt::join(along, "+"));
  if (!shared.empty()) text += fmt::format("@{}", fmt::join(shared, ","));
  return text;
}

std::string Mesh::text() const {
  if (axes_.empty()) return "1 worker";
  std::vector<std::string> parts;
  for (const auto& [name, size] : axes_) parts.push_back(fmt::format("{} {}", name, size));
  return fmt::format("{}", fmt::join(parts, " x "));
}

}  // namespace shoal
