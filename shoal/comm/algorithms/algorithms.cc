#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

Schedule schedule_of(Algorithm algorithm, int size, const NetworkLayout& layout) {
  switch (algorithm) {
    case Algorithm::two_shot:
      return two_shot_schedule(size);
    case Algorithm::ring:
      return ring_schedule(size);
    case Algorithm::recursive_doubling:
      return recursive_doubling_schedule(size);
    case Algorithm::rabenseifner:
      return rabenseifner_schedule(size);
    case Algorithm::double_tree:
      return double_tree_schedule(size);
    case Algorithm::hop_by_hop:
      return hop_by_hop_schedule(size);
    case Algorithm::two_way_ring:
      return two_way_ring_schedule(size);
    case Algorithm::tree:
      return tree_schedule(layout.links ? *layout.links : Topology::clique(size, {1, 0}));
    case Algorithm::hierarchical:
      return hierarchical_schedule(size, layout.hosts);
    case Algorithm::automatic:
      break;
  }
  return two_shot_schedule(size);
}

Schedule reduce_scatter_schedule_of(Algorithm algorithm, int size, const NetworkLayout& layout) {
  if (algorithm == Algorithm::hierarchical) return hierarchical_reduce_scatter(size, layout.hosts);
  const bool in_place = algorithm == Algorithm::ring;
  return reduce_scatter_part(in_place ? ring_schedule(size) : two_shot_schedule(size));
}

Schedule reduce_schedule_of(Algorithm algorithm, int size, int root, const NetworkLayout& layout) {
  const bool hierarchical = algorithm == Algorithm::hierarchical;
  return handed_on(
      reduce_scatter_schedule_of(hierarchical ? algorithm : Algorithm::two_shot, size, layout),
      {root});
}

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::two_shot:
      return "two_shot";
    case Algorithm::ring:
      return "ring";
    case Algorithm::recursive_doubling:
      return "recursive_doubling";
    case Algorithm::rabenseifner:
      return "rabenseifner";
    case Algorithm::double_tree:
      return "double_tree";
    case Algorithm::hop_by_hop:
      return "hop_by_hop";
    case Algorithm::two_way_ring:
      return "two_way_ring";
    case Algorithm::tree:
      return "tree";
    case Algorithm::hierarchical:
      return "hierarchical";
    case Algorithm::automatic:
      return "automatic";
  }
  return "?";
}

std::string algorithm_names() {
  std::string names;
  for (const Algorithm algorithm : kAlgorithms) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(algorithm));
  }
  return names;
}

}  // namespace shoal
