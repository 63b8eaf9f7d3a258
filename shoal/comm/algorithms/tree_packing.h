// Spanning trees that together use all the links of a topology.
//
// Wang et al., "Blink: Fast and generic collectives for distributed ML", MLSys 2020. A tree carries
// its part of the vector to its root, which sums, and back: both ways over each of its links. So an
// all-reduce is a packing of undirected trees, where a link counts with what it carries both ways
// at once, and no packing is faster than the weakest way of cutting the ranks in p parts: what the
// links between the parts carry, over p - 1 (Nash-Williams 1961, Tutte 1961).
#pragma once

#include <vector>

#include "shoal/comm/schedule.h"
#include "shoal/comm/topology.h"

namespace shoal {

struct Tree {
  int root = 0;
  std::vector<int> parent;  // by rank; -1 for the root
};

struct TreePacking {
  std::vector<Tree> trees;  // each carries an equal part of the vector
  double rate = 0;          // bytes/s of vector that the fullest link allows
  double bound = 0;         // no packing is faster: proved by a cut, or by prices of the links
};

// At most 32 trees, or one for each rank. Latencies are not looked at, but roots are in the middle.
// Throws InvalidInput naming a rank that cannot be reached both ways.
// Cost: some thousand spanning trees; nothing worth mentioning where all links are alike.
TreePacking pack_trees(const Topology& topology);

// The all-reduce over them: 2 x depth steps; S/rate once its cells flow.
Schedule schedule_of(const TreePacking& packing, int size);

}  // namespace shoal
