#include <algorithm>
#include <vector>

#include "shoal/comm/algorithms/algorithms.h"

namespace shoal {
namespace {

// A tree over 0 .. n-1 with 0 above all: below it a binary tree in which every node lies between
// its subtrees. All odd nodes are leaves.
class InOrderTree {
 public:
  explicit InOrderTree(int size) : parent_(size, -1), height_(size, 0), depth_(size, 0) {
    for (int node = 1; node < size; ++node) parent_[node] = parent_of(node, size);
    // A parent's lowest bit is higher than its child's, so children are done before their parents.
    for (int bit = 1; bit < size; bit *= 2) {
      for (int node = bit; node < size; node += 2 * bit) {
        int& above = height_[parent_[node]];
        above = std::max(above, height_[node] + 1);
      }
    }
    for (int bit = 1 << 30; bit > 0; bit /= 2) {
      for (int node = bit; node < size && node > 0; node += 2 * bit) {
        depth_[node] = depth_[parent_[node]] + 1;
      }
    }
  }
  int parent(int node) const { return parent_[node]; }
  int height(int node) const { return height_[node]; }
  int depth(int node) const { return depth_[node]; }

 private:
  // Of the two nodes at the distance of its lowest bit, the one whose own lowest bit is the next.
  static int parent_of(int node, int size) {
    const int bit = node & -node;
    const int right = (node - bit) | (2 * bit);
    return right < size ? right : node - bit;
  }

  std::vector<int> parent_, height_, depth_;
};

}  // namespace

// The second tree is the first one mirrored when n is even, moved by one when it is odd: its leaves
// are the inner nodes of the first.
Schedule double_tree_schedule(int size) {
  Schedule schedule{.algorithm = "double_tree", .size = size, .chunks = 2, .transfers = {}};
  const InOrderTree tree(size);
  for (int chunk = 0; chunk < 2; ++chunk) {
    const auto rank_of = [&](int node) {
      if (chunk == 0) return node;
      return size % 2 == 0 ? size - 1 - node : (node + 1) % size;
    };
    for (int node = 1; node < size; ++node) {
      // All children of a node at once, so that it sums them in one pass.
      schedule.transfers.push_back({.step = tree.height(tree.parent(node)) - 1,
                                    .from = rank_of(node),
                                    .to = rank_of(tree.parent(node)),
                                    .first = chunk});
      schedule.transfers.push_back({.step = tree.height(0) + tree.depth(node) - 1,
                                    .from = rank_of(tree.parent(node)),
                                    .to = rank_of(node),
                                    .first = chunk,
                                    .effect = Transfer::Effect::replace});
    }
  }
  std::stable_sort(schedule.transfers.begin(), schedule.transfers.end(),
                   [](const Transfer& a, const Transfer& b) { return a.step < b.step; });
  return schedule;
}

}  // namespace shoal
