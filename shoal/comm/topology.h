// Which ranks are linked, how fast, and how far apart they are.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

// One direction.
struct Link {
  double bytes_per_second = 0;  // 0: there is none
  double latency_seconds = 0;
  bool exists() const { return bytes_per_second > 0; }
  friend bool operator==(const Link&, const Link&) = default;
};

class Topology {
 public:
  explicit Topology(int size) : size_(size), links_(static_cast<std::size_t>(size * size)) {}
  // Every pair of ranks linked alike.
  static Topology clique(int size, const Link& link);

  int size() const { return size_; }
  const Link& link(int from, int to) const { return links_[at(from, to)]; }
  void set(int from, int to, const Link& link) { links_[at(from, to)] = link; }
  void set_both_ways(int a, int b, const Link& link) {
    set(a, b, link);
    set(b, a, link);
  }
  // What goes both ways at once, bytes/s each way.
  double both_ways(int a, int b) const;
  // These ranks alone, renumbered in the order given.
  Topology among(const std::vector<int>& ranks) const;
  // A line for each link; equal exactly when the topologies are.
  std::string text() const;

 private:
  std::size_t at(int from, int to) const { return static_cast<std::size_t>(from) * size_ + to; }
  int size_;
  std::vector<Link> links_;
};

// What a schedule may take account of beside the number of ranks.
struct NetworkLayout {
  std::shared_ptr<const Topology> links;  // shared: by all who use it; null: all alike
  std::vector<int> hosts;  // by rank, equal for those on one host; empty: all are on one
  bool leaves_host(int from, int to) const { return !hosts.empty() && hosts[from] != hosts[to]; }
};

//   ranks = 4
//   latency_us = 10   # of links that do not say
//   links = [
//     { between = [0, 1], GB_per_s = 0.125 },                  # each way
//     { from = 1, to = 2, GB_per_s = 1.0, latency_us = 3 },
//   ]
// GB = 1e9 bytes. Throws InvalidInput that names the file and all its faults.
Topology read_topology(const std::filesystem::path& path);
Topology topology_from(std::string_view text, std::string_view source);

}  // namespace shoal
