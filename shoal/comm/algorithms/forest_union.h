// As many spanning trees as asked for out of edges that may each be used a number of times.
#pragma once

#include <optional>
#include <utility>
#include <vector>

namespace shoal {

struct ForestEdge {
  int a, b;
  int copies;  // in how many trees it may be
};

// By tree, the numbers of its edges; nullopt exactly when there are no such trees.
// Edmonds, "Minimum partition of a matroid into independent subsets", 1965: an edge that closes a
// circle in every forest pushes others from forest to forest until one finds room.
// Cost: for each edge that does not fit a search of copies x trees x ranks.
std::optional<std::vector<std::vector<int>>> spanning_trees(int ranks,
                                                            const std::vector<ForestEdge>& edges,
                                                            int trees);

}  // namespace shoal
