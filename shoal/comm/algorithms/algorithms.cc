#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {

Schedule schedule_of(Algorithm algorithm, int size, const Topology* topology) {
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
      return tree_schedule(topology != nullptr ? *topology : Topology::clique(size, {1, 0}));
  }
  return two_shot_schedule(size);
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
