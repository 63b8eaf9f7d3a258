#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/world.h"

namespace shoal {
namespace {

using Effect = Transfer::Effect;

class Hosts {
 public:
  // By rank; empty: all on one.
  Hosts(int size, const std::vector<int>& host_of) : host_(size), place_(size) {
    std::map<int, int> numbers;  // in order of their first ranks
    for (int rank = 0; rank < size; ++rank) {
      const int label = host_of.empty() ? 0 : host_of[rank];
      const int host = numbers.try_emplace(label, static_cast<int>(numbers.size())).first->second;
      if (host == std::ssize(ranks_)) ranks_.emplace_back();
      host_[rank] = host;
      place_[rank] = static_cast<int>(ranks_[host].size());
      ranks_[host].push_back(rank);
    }
  }
  int size() const { return static_cast<int>(host_.size()); }
  int count() const { return static_cast<int>(ranks_.size()); }
  int of(int rank) const { return host_[rank]; }
  int place(int rank) const { return place_[rank]; }
  const std::vector<int>& ranks(int host) const { return ranks_[host]; }
  // The rank of `host` through which goes what another host's `owner` gathers or hands out: its
  // counterpart, so that all ranks of a host carry alike.
  int carrier(int host, int owner) const {
    if (host == host_[owner]) return owner;
    return ranks_[host][static_cast<std::size_t>(place_[owner]) % ranks_[host].size()];
  }

 private:
  std::vector<int> host_;   // by rank
  std::vector<int> place_;  // by rank: among those of its host
  std::vector<std::vector<int>> ranks_;
};

// Chunk c is to be whole on owners[c].
void reduce_to_owners(const Hosts& hosts, const std::vector<int>& owners, Schedule& schedule) {
  for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
    for (int rank = 0; rank < hosts.size(); ++rank) {
      const int carrier = hosts.carrier(hosts.of(rank), owners[chunk]);
      if (carrier != rank) schedule.transfers.push_back({0, rank, carrier, chunk, 1, Effect::add});
    }
    for (int host = 0; host < hosts.count(); ++host) {
      const int carrier = hosts.carrier(host, owners[chunk]);
      if (carrier == owners[chunk]) continue;
      schedule.transfers.push_back({1, carrier, owners[chunk], chunk, 1, Effect::add});
    }
  }
}

// Chunk c goes from owners[c] to all, in two steps from `step` on.
void hand_out(const Hosts& hosts, const std::vector<int>& owners, int step, Schedule& schedule) {
  for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
    const int owner = owners[chunk];
    for (int host = 0; host < hosts.count(); ++host) {
      const int carrier = hosts.carrier(host, owner);
      if (carrier != owner) {
        schedule.transfers.push_back({step, owner, carrier, chunk, 1, Effect::replace});
      }
      for (const int rank : hosts.ranks(host)) {
        if (rank == carrier) continue;
        schedule.transfers.push_back({step + 1, carrier, rank, chunk, 1, Effect::replace});
      }
    }
  }
}

// By step, without steps in which nothing goes, and transfers of neighbouring chunks between the
// same ranks as one.
Schedule in_order(Schedule schedule) {
  std::vector<Transfer>& all = schedule.transfers;
  const auto key = [](const Transfer& one) {
    return std::tuple(one.step, one.from, one.to, one.effect, one.first);
  };
  std::sort(all.begin(), all.end(),
            [&](const Transfer& a, const Transfer& b) { return key(a) < key(b); });
  std::vector<Transfer> merged;
  for (const Transfer& one : all) {
    const bool goes_on = !merged.empty() && merged.back().step == one.step &&
                         merged.back().from == one.from && merged.back().to == one.to &&
                         merged.back().effect == one.effect &&
                         merged.back().first + merged.back().chunks == one.first;
    if (goes_on) {
      merged.back().chunks += one.chunks;
    } else {
      merged.push_back(one);
    }
  }
  int step = -1;
  int before = -1;
  for (Transfer& one : merged) {
    if (one.step != before) ++step;
    before = one.step;
    one.step = step;
  }
  all = std::move(merged);
  return schedule;
}

Schedule named(std::string name, int size, int chunks) {
  return {.algorithm = std::move(name), .size = size, .chunks = chunks, .transfers = {}};
}

}  // namespace

// Counterparts own neighbouring chunks: what goes to one carrier is one stretch.
Schedule hierarchical_schedule(int size, const std::vector<int>& host_of) {
  const Hosts hosts(size, host_of);
  std::vector<int> owners = all_ranks(size);
  std::sort(owners.begin(), owners.end(), [&](int a, int b) {
    return std::pair(hosts.place(a), hosts.of(a)) < std::pair(hosts.place(b), hosts.of(b));
  });
  Schedule schedule = named("hierarchical", size, size);
  reduce_to_owners(hosts, owners, schedule);
  hand_out(hosts, owners, 2, schedule);
  return in_order(std::move(schedule));
}

Schedule hierarchical_reduce_scatter(int size, const std::vector<int>& host_of) {
  Schedule schedule = named("hierarchical", size, size);
  reduce_to_owners(Hosts(size, host_of), all_ranks(size), schedule);
  return in_order(std::move(schedule));
}

Schedule hierarchical_all_gather(int size, const std::vector<int>& host_of) {
  Schedule schedule = named("hierarchical", size, size);
  hand_out(Hosts(size, host_of), all_ranks(size), 0, schedule);
  return in_order(std::move(schedule));
}

// As many chunks as the largest host has ranks: its ranks share what comes from outside.
Schedule hierarchical_broadcast(int size, const std::vector<int>& host_of, int root) {
  const Hosts hosts(size, host_of);
  int chunks = 1;
  for (int host = 0; host < hosts.count(); ++host) {
    if (host == hosts.of(root)) continue;
    chunks = std::max(chunks, static_cast<int>(hosts.ranks(host).size()));
  }
  Schedule schedule = named("hierarchical", size, chunks);
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int host = 0; host < hosts.count(); ++host) {
      const std::vector<int>& ranks = hosts.ranks(host);
      const bool here = host == hosts.of(root);
      const int carrier = here ? root : ranks[static_cast<std::size_t>(chunk) % ranks.size()];
      if (!here) schedule.transfers.push_back({0, root, carrier, chunk, 1, Effect::replace});
      for (const int rank : ranks) {
        if (rank == carrier) continue;
        schedule.transfers.push_back({here ? 0 : 1, carrier, rank, chunk, 1, Effect::replace});
      }
    }
  }
  return in_order(std::move(schedule));
}

}  // namespace shoal
