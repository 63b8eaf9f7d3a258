// All-reduce algorithms as schedules. n ranks, S bytes a rank, a = latency of a message, B =
// bytes/s of a link each way.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/comm/schedule.h"
#include "shoal/comm/topology.h"

namespace shoal {

inline constexpr Algorithm kAlgorithms[] = {
    Algorithm::two_shot,     Algorithm::ring,        Algorithm::recursive_doubling,
    Algorithm::rabenseifner, Algorithm::double_tree, Algorithm::hop_by_hop,
    Algorithm::two_way_ring, Algorithm::tree,        Algorithm::hierarchical};
// Only `tree` looks at the layout's links, and only `hierarchical` at its hosts.
Schedule schedule_of(Algorithm algorithm, int size, const NetworkLayout& layout = {});
// Of reduce_scatter, where the algorithm leaves chunk c on rank c; else that of two_shot.
Schedule reduce_scatter_schedule_of(Algorithm algorithm, int size,
                                    const NetworkLayout& layout = {});
// Of reduce: hierarchical, else two_shot's additions, and whole chunks to `root`.
Schedule reduce_schedule_of(Algorithm algorithm, int size, int root,
                            const NetworkLayout& layout = {});
std::string_view name_of(Algorithm algorithm);
std::string algorithm_names();  // "two_shot, ring, ..."

// Reduce-scatter by direct exchange, then all-gather: 2 a + 2 (n-1)/n S/B on a switch that does not
// block. Every chunk is summed in one place in the order of ranks 0, 1, 2, ...
Schedule two_shot_schedule(int size);

// Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC
// 2009: 2 (n-1) a + 2 (n-1)/n S/B over neighbours' links alone.
Schedule ring_schedule(int size);

// The ring, half of the vector each way round: 2 (n-1) a + (n-1)/n S/B.
Schedule two_way_ring_schedule(int size);

// Partners at distance 1, 2, 4, ... exchange everything: log2(n) (a + S/B). With n no power of two,
// the ranks beyond the largest one first add to a partner and get the result last: 2 (a + S/B)
// more. Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in
// MPICH", IJHPCA 2005.
Schedule recursive_doubling_schedule(int size);

// Recursive halving of the vector, then doubling: 2 log2(n) a + 2 (n-1)/n S/B, and 2 (a + S/B) more
// when n is no power of two. The same source; Rabenseifner 2004.
Schedule rabenseifner_schedule(int size);

// Two trees over all ranks, each reducing one half of the vector and sending it back; what is
// inside in one tree is a leaf in the other, so that every rank sends and receives about 2 S in
// all. 4 log2(n) a + 2 S/B once its segments flow. Sanders, Speck and Traeff, "Two-tree algorithms
// for full bandwidth broadcast, reduction and scan", Parallel Computing 2009.
Schedule double_tree_schedule(int size);

// Packed spanning trees: see tree_packing.h. Where all links are alike, one star about each rank:
// 2 a + 2/n S/B.
Schedule tree_schedule(const Topology& topology);

// Sums inside each host, then across, then hands out inside: each host's share of the vector goes
// over each of its links to another host once and comes back once. H hosts of m ranks each: 4
// steps; 2 (H-1)/H S/m between hosts and 2 (m-1)/m S inside, per rank. A flat ring over contiguous
// hosts sends 2 (n-1)/n S over one link of each host: with 2 hosts of 2 ranks 1.5 times as much in
// all. `host_of`: by rank, equal for ranks of one host; empty: all are on one.
Schedule hierarchical_schedule(int size, const std::vector<int>& host_of);
Schedule hierarchical_reduce_scatter(int size, const std::vector<int>& host_of);
// No all-reduces: chunk c, or everything, is whole on rank c, or on `root`, from the beginning.
// Every host gets it once, and hands it on inside.
Schedule hierarchical_all_gather(int size, const std::vector<int>& host_of);
Schedule hierarchical_broadcast(int size, const std::vector<int>& host_of, int root);

// What teaching texts call all-reduce: the sum is carried along a chain of ranks and then handed
// back. 2 (n-1) (a + S/B). For comparison.
Schedule hop_by_hop_schedule(int size);

}  // namespace shoal
