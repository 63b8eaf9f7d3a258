#include "shoal/comm/algorithms/forest_union.h"

#include <algorithm>
#include <deque>

namespace shoal {
namespace {

class ForestUnion {
 public:
  ForestUnion(int ranks, const std::vector<ForestEdge>& edges, int trees)
      : ranks_(ranks), trees_(trees), edges_(edges) {
    for (int edge = 0; edge < static_cast<int>(edges.size()); ++edge) {
      for (int copy = 0; copy < std::min(edges[edge].copies, trees); ++copy) {
        items_.push_back({edge});
      }
    }
  }

  // Whether all are spanning trees in the end.
  bool fill() {
    const int needed = trees_ * (ranks_ - 1);
    int placed = 0;
    int left = static_cast<int>(items_.size());
    int hopeless = -1;  // an edge of which no further copy fits
    for (int item = 0; item < static_cast<int>(items_.size()); ++item) {
      if (placed == needed) return true;
      if (placed + left < needed) return false;
      --left;
      if (items_[item].edge == hopeless) continue;
      if (insert(item)) {
        ++placed;
      } else {
        hopeless = items_[item].edge;
      }
    }
    return placed == needed;
  }

  std::vector<std::vector<int>> trees() const {
    std::vector<std::vector<int>> trees(static_cast<std::size_t>(trees_));
    for (const Item& item : items_) {
      if (item.forest >= 0) trees[item.forest].push_back(item.edge);
    }
    return trees;
  }

 private:
  struct Item {
    int edge;
    int forest = -1;
    int pushed_by = -1;  // in the search under way
    bool seen = false;
  };

  const ForestEdge& ends(int item) const { return edges_[items_[item].edge]; }

  bool insert(int first) {
    for (Item& item : items_) item.seen = false;
    items_[first].seen = true;
    std::deque<int> next{first};
    for (; !next.empty(); next.pop_front()) {
      const int item = next.front();
      for (int forest = 0; forest < trees_; ++forest) {
        if (items_[item].forest == forest) continue;
        const auto circle = way_between(ends(item).a, ends(item).b, forest);
        if (!circle) {
          push_along(item, first, forest);
          return true;
        }
        for (const int other : *circle) {
          if (items_[other].seen) continue;
          items_[other].seen = true;
          items_[other].pushed_by = item;
          next.push_back(other);
        }
      }
    }
    return false;
  }

  // `item` goes to `forest`, the one that pushes it to where it was, and so on.
  void push_along(int item, int first, int forest) {
    while (true) {
      std::swap(items_[item].forest, forest);
      if (item == first) return;
      item = items_[item].pushed_by;
    }
  }

  // The edges of `forest` from a to b; nullopt where it does not join them.
  std::optional<std::vector<int>> way_between(int a, int b, int forest) const {
    std::vector<int> came_by(static_cast<std::size_t>(ranks_), -1);
    std::vector<int> came_from(static_cast<std::size_t>(ranks_), -1);
    came_from[a] = a;
    std::vector<int> here{a};
    while (!here.empty() && came_from[b] < 0) {
      std::vector<int> next;
      for (int item = 0; item < static_cast<int>(items_.size()); ++item) {
        if (items_[item].forest != forest) continue;
        for (const auto& [from, to] :
             {std::pair(ends(item).a, ends(item).b), std::pair(ends(item).b, ends(item).a)}) {
          const bool reached = std::find(here.begin(), here.end(), from) != here.end();
          if (!reached || came_from[to] >= 0) continue;
          came_from[to] = from;
          came_by[to] = item;
          next.push_back(to);
        }
      }
      here = std::move(next);
    }
    if (came_from[b] < 0) return std::nullopt;
    std::vector<int> way;
    for (int rank = b; rank != a; rank = came_from[rank]) way.push_back(came_by[rank]);
    return way;
  }

  const int ranks_;
  const int trees_;
  const std::vector<ForestEdge>& edges_;
  std::vector<Item> items_;
};

}  // namespace

std::optional<std::vector<std::vector<int>>> spanning_trees(int ranks,
                                                            const std::vector<ForestEdge>& edges,
                                                            int trees) {
  ForestUnion forests(ranks, edges, trees);
  if (!forests.fill()) return std::nullopt;
  return forests.trees();
}

}  // namespace shoal
