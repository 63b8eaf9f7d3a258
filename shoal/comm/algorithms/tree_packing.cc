#include "shoal/comm/algorithms/tree_packing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/algorithms/forest_union.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr double kGoodEnough = 0.999;  // of the bound
constexpr int kMostTrees = 32;
constexpr int kMostRanksToProve = 16;  // beyond, the search for better trees takes too long

struct Edge {
  int a, b;
  double rate;  // both ways at once
};
using Edges = std::vector<Edge>;

Edges edges_of(const Topology& topology) {
  Edges edges;
  for (int a = 0; a < topology.size(); ++a) {
    for (int b = a + 1; b < topology.size(); ++b) {
      const double rate = topology.both_ways(a, b);
      if (rate > 0) edges.push_back({a, b, rate});
    }
  }
  return edges;
}

// Sets of ranks that grow together.
class Joined {
 public:
  explicit Joined(int size) : parent_(static_cast<std::size_t>(size)), count_(size) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int of(int rank) {
    while (parent_[rank] != rank) rank = parent_[rank] = parent_[parent_[rank]];
    return rank;
  }
  bool join(int a, int b) {
    a = of(a);
    b = of(b);
    if (a == b) return false;
    parent_[a] = b;
    --count_;
    return true;
  }
  int count() const { return count_; }

 private:
  std::vector<int> parent_;
  int count_;
};

class Packer {
 public:
  explicit Packer(const Topology& topology) : size_(topology.size()), edges_(edges_of(topology)) {
    require_connected();
  }

  TreePacking pack() {
    TreePacking packing;
    std::vector<double> alike(edges_.size(), 1.0);
    packing.bound = cut_bound(alike);
    if (pack_stars(packing)) return packing;
    sharpen_bound_by_prices(packing.bound);
    for (int trees = 1; trees <= kMostTrees; ++trees) {
      try_number(trees, packing);
      if (packing.rate >= kGoodEnough * packing.bound) return packing;
    }
    if (size_ > kMostRanksToProve) return packing;
    for (int trees = 1; trees <= kMostTrees; ++trees) {
      while (packing.rate < kGoodEnough * packing.bound && raise(trees, packing)) {
      }
    }
    return packing;
  }

 private:
  using Chosen = std::vector<int>;  // numbers of edges

  void require_connected() const {
    Joined parts(size_);
    for (const Edge& edge : edges_) parts.join(edge.a, edge.b);
    for (int rank = 1; rank < size_; ++rank) {
      if (parts.of(rank) == parts.of(0)) continue;
      throw InvalidInput(fmt::format(
          "the topology has no way from rank 0 to rank {} and back; add a link that joins them",
          rank));
    }
  }

  // Kruskal's minimum spanning tree.
  Chosen cheapest_tree(const std::vector<double>& prices) const {
    std::vector<int> order(edges_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int left, int right) { return prices[left] < prices[right]; });
    Joined parts(size_);
    Chosen tree;
    for (const int edge : order) {
      if (parts.join(edges_[edge].a, edges_[edge].b)) tree.push_back(edge);
    }
    return tree;
  }

  // The weakest of the cuts that appear when ranks grow together over the cheap links first, and
  // of those that part one rank from the rest.
  double cut_bound(const std::vector<double>& prices) const {
    std::vector<double> around(static_cast<std::size_t>(size_));
    for (const Edge& edge : edges_) {
      around[edge.a] += edge.rate;
      around[edge.b] += edge.rate;
    }
    double bound = *std::min_element(around.begin(), around.end());
    Joined parts(size_);
    const auto weigh = [&] {
      double crossing = 0;
      for (const Edge& edge : edges_) {
        if (parts.of(edge.a) != parts.of(edge.b)) crossing += edge.rate;
      }
      bound = std::min(bound, crossing / (parts.count() - 1));
    };
    for (const int edge : cheapest_tree(prices)) {
      weigh();
      parts.join(edges_[edge].a, edges_[edge].b);
    }
    return bound;
  }

  // One star about each rank: where all are linked alike nothing is better, and nothing flatter.
  bool pack_stars(TreePacking& packing) const {
    if (edges_.size() != static_cast<std::size_t>(size_ * (size_ - 1) / 2)) return false;
    double slowest = std::numeric_limits<double>::infinity();
    for (const Edge& edge : edges_) slowest = std::min(slowest, edge.rate);
    const double rate = slowest * size_ / 2;
    if (rate < kGoodEnough * packing.bound) return false;
    packing.rate = rate;
    for (int root = 0; root < size_; ++root) {
      Tree tree{root, std::vector<int>(static_cast<std::size_t>(size_), root)};
      tree.parent[root] = -1;
      packing.trees.push_back(std::move(tree));
    }
    return true;
  }

  // Garg and Koenemann, "Faster and simpler algorithms for multicommodity flow", SIAM J. Comput.
  // 2007: links that trees use become dearer. Whatever the prices are, what all links cost over
  // what the cheapest tree costs bounds every packing.
  void sharpen_bound_by_prices(double& bound) const {
    constexpr int kRounds = 600;
    constexpr double kStep = 0.05;
    std::vector<double> prices;
    for (const Edge& edge : edges_) prices.push_back(1 / edge.rate);
    for (int round = 0; round < kRounds; ++round) {
      const Chosen tree = cheapest_tree(prices);
      double all = 0;
      double cheapest = 0;
      double narrowest = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < edges_.size(); ++i) all += prices[i] * edges_[i].rate;
      for (const int edge : tree) {
        cheapest += prices[edge];
        narrowest = std::min(narrowest, edges_[edge].rate);
      }
      bound = std::min(bound, all / cheapest);
      if (round % 20 == 0) bound = std::min(bound, cut_bound(prices));
      for (const int edge : tree) prices[edge] *= 1 + kStep * narrowest / edges_[edge].rate;
    }
  }

  // How full the fullest link is: what the trees put on it, over its rate.
  double fill(const std::vector<int>& load) const {
    double fullest = 0;
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      fullest = std::max(fullest, load[i] / edges_[i].rate);
    }
    return fullest;
  }

  // Each tree in turn is taken out and grown anew where the others leave room.
  void try_number(int trees, TreePacking& packing) const {
    std::vector<int> load(edges_.size());
    std::vector<Chosen> chosen(static_cast<std::size_t>(trees));
    const double fair = trees / packing.bound;
    constexpr int kRounds = 12;
    for (int round = 0; round < kRounds; ++round) {
      for (Chosen& tree : chosen) {
        for (const int edge : tree) --load[edge];
        std::vector<double> prices;
        for (std::size_t i = 0; i < edges_.size(); ++i) {
          prices.push_back(std::pow((load[i] + 1) / (edges_[i].rate * fair), 12));
        }
        tree = cheapest_tree(prices);
        for (const int edge : tree) ++load[edge];
      }
      const double rate = trees / fill(load);
      if (rate > packing.rate * 1.0001) keep(chosen, rate, packing);
      if (rate >= kGoodEnough * packing.bound) return;
    }
  }

  // Looks for trees of a rate that is higher at all; then that is the packing.
  bool raise(int trees, TreePacking& packing) const {
    const double wanted = packing.rate * (1 + (1 - kGoodEnough) / 2);
    std::vector<ForestEdge> edges;
    for (const auto& [a, b, rate] : edges_) {
      edges.push_back({a, b, static_cast<int>(trees * rate / wanted + 1e-9)});
    }
    const auto found = spanning_trees(size_, edges, trees);
    if (!found) return false;
    std::vector<int> load(edges_.size());
    for (const Chosen& tree : *found) {
      for (const int edge : tree) ++load[edge];
    }
    keep(*found, trees / fill(load), packing);
    return true;
  }

  void keep(const std::vector<Chosen>& chosen, double rate, TreePacking& packing) const {
    packing.rate = rate;
    packing.trees.clear();
    for (const Chosen& tree : chosen) packing.trees.push_back(rooted(tree));
  }

  // In the rank from which the farthest one is nearest.
  Tree rooted(const Chosen& chosen) const {
    Tree best;
    int lowest = size_ + 1;
    for (int root = 0; root < size_; ++root) {
      const auto [tree, depth] = from(root, chosen);
      if (depth >= lowest) continue;
      lowest = depth;
      best = tree;
    }
    return best;
  }
  std::pair<Tree, int> from(int root, const Chosen& chosen) const {
    Tree tree{root, std::vector<int>(static_cast<std::size_t>(size_), -1)};
    std::vector<int> here{root};
    int depth = 0;
    while (true) {
      std::vector<int> next;
      for (const int rank : here) {
        for (const int edge : chosen) {
          const auto [a, b, rate] = edges_[edge];
          if (a != rank && b != rank) continue;
          const int other = a == rank ? b : a;
          if (other == tree.parent[rank]) continue;
          tree.parent[other] = rank;
          next.push_back(other);
        }
      }
      if (next.empty()) return {tree, depth};
      ++depth;
      here = std::move(next);
    }
  }

  const int size_;
  const Edges edges_;
};

std::vector<int> depths_of(const Tree& tree) {
  std::vector<int> depths;
  for (int rank = 0; rank < static_cast<int>(tree.parent.size()); ++rank) {
    int depth = 0;
    for (int above = tree.parent[rank]; above >= 0; above = tree.parent[above]) ++depth;
    depths.push_back(depth);
  }
  return depths;
}

}  // namespace

TreePacking pack_trees(const Topology& topology) {
  if (topology.size() == 1) return {};
  return Packer(topology).pack();
}

Schedule schedule_of(const TreePacking& packing, int size) {
  const int chunks = std::max<int>(1, static_cast<int>(packing.trees.size()));
  Schedule schedule{.algorithm = "tree", .size = size, .chunks = chunks, .transfers = {}};
  for (int chunk = 0; chunk < static_cast<int>(packing.trees.size()); ++chunk) {
    const Tree& tree = packing.trees[chunk];
    const std::vector<int> depths = depths_of(tree);
    const int deepest = *std::max_element(depths.begin(), depths.end());
    for (int rank = 0; rank < size; ++rank) {
      if (rank == tree.root) continue;
      schedule.transfers.push_back(
          {.step = deepest - depths[rank], .from = rank, .to = tree.parent[rank], .first = chunk});
      schedule.transfers.push_back({.step = deepest + depths[rank] - 1,
                                    .from = tree.parent[rank],
                                    .to = rank,
                                    .first = chunk,
                                    .effect = Transfer::Effect::replace});
    }
  }
  std::stable_sort(schedule.transfers.begin(), schedule.transfers.end(),
                   [](const Transfer& a, const Transfer& b) { return a.step < b.step; });
  return schedule;
}

Schedule tree_schedule(const Topology& topology) {
  return schedule_of(pack_trees(topology), topology.size());
}

}  // namespace shoal
