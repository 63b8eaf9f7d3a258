// Parts 3 and 4 of the verifier: the ranks' lists together.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "shoal/program/verify_parts.h"

namespace shoal {
namespace {

using Pair = std::pair<int, int>;  // from, to

// Who talks to whom, in the order of the lists.
struct Meetings {
  struct Link {
    std::vector<int> sends;     // operations of the sender
    std::vector<int> receives;  // of the receiver
  };
  struct Collectives {
    GroupFacts group;
    std::unordered_map<int, std::vector<int>> ops;  // by rank
  };

  explicit Meetings(const RankPrograms& programs) {
    for (const Program& program : programs) {
      std::vector<int> numbers;  // the program's groups, as indices into `groups`
      for (const GroupFacts& group : program.groups) numbers.push_back(number_of(group));
      for (int i = 0; i < std::ssize(program.ops); ++i) {
        const Op& op = program.ops[i];
        if (op.kind == OpKind::send) links[{program.rank, op.peer}].sends.push_back(i);
        if (op.kind == OpKind::receive) links[{op.peer, program.rank}].receives.push_back(i);
        if (!meets_others(op)) continue;
        groups[numbers[op.group]].ops[program.rank].push_back(i);
      }
      group_numbers.push_back(std::move(numbers));
    }
  }

  std::map<Pair, Link> links;
  std::vector<Collectives> groups;
  std::vector<std::vector<int>> group_numbers;  // by rank and the program's own group index

 private:
  int number_of(const GroupFacts& group) {
    for (const int number : by_name_[group.name]) {
      if (groups[number].group == group) return number;
    }
    const int number = static_cast<int>(groups.size());
    by_name_[group.name].push_back(number);
    groups.push_back({group, {}});
    return number;
  }
  std::unordered_map<std::string, std::vector<int>> by_name_;
};

class Matcher {
 public:
  explicit Matcher(const RankPrograms& programs) : programs_(programs), meetings_(programs) {}

  std::vector<std::string> faults() {
    for (const auto& [pair, link] : meetings_.links) match(pair, link);
    for (const Meetings::Collectives& collectives : meetings_.groups) match(collectives);
    return std::move(faults_);
  }

 private:
  std::string place(int rank, int op) const { return place_of(programs_[rank], op); }

  void match(const Pair& pair, const Meetings::Link& link) {
    const auto [from, to] = pair;
    const std::size_t both = std::min(link.sends.size(), link.receives.size());
    for (std::size_t i = 0; i < both; ++i) {
      const Op& send = programs_[from].ops[link.sends[i]];
      const Op& receive = programs_[to].ops[link.receives[i]];
      if (send.reads.front().value == receive.writes.front().value && send.bytes == receive.bytes &&
          send.type == receive.type) {
        continue;
      }
      faults_.push_back(fmt::format("{} meets {}, which expects another value or size",
                                    place(from, link.sends[i]), place(to, link.receives[i])));
      return;  // all later ones of the pair are shifted
    }
    if (link.sends.size() > both) {
      faults_.push_back(
          fmt::format("{} has no Receive on rank {}", place(from, link.sends[both]), to));
    }
    if (link.receives.size() > both) {
      faults_.push_back(
          fmt::format("{} has no Send on rank {}", place(to, link.receives[both]), from));
    }
  }

  static bool same_call(const Op& a, const Op& b) {
    if (a.kind != b.kind || a.bytes != b.bytes || a.type != b.type) return false;
    if (a.kind == OpKind::forward || a.kind == OpKind::backward) {
      return a.block == b.block && a.micro_batch == b.micro_batch && a.mode == b.mode;
    }
    if (a.kind == OpKind::agree) return true;
    return std::equal(a.accumulates.begin(), a.accumulates.end(), b.accumulates.begin(),
                      b.accumulates.end(),
                      [](const Use& x, const Use& y) { return x.value == y.value; });
  }

  void match(const Meetings::Collectives& collectives) {
    if (collectives.ops.empty()) return;
    const std::vector<int>& ranks = collectives.group.ranks;
    static const std::vector<int> none;
    const auto ops_of = [&](int rank) -> const std::vector<int>& {
      const auto found = collectives.ops.find(rank);
      return found == collectives.ops.end() ? none : found->second;
    };
    const int first = ranks.front();
    const std::vector<int>& expected = ops_of(first);
    for (const int rank : ranks) {
      if (rank == first) continue;
      const std::vector<int>& ops = ops_of(rank);
      const std::size_t both = std::min(expected.size(), ops.size());
      std::size_t i = 0;
      while (i < both &&
             same_call(programs_[first].ops[expected[i]], programs_[rank].ops[ops[i]])) {
        ++i;
      }
      if (i == both && expected.size() == ops.size()) continue;
      const std::string& group = collectives.group.name;
      if (i < both) {
        faults_.push_back(
            fmt::format("{} and {} meet in group {}, but their values or sizes differ",
                        place(first, expected[i]), place(rank, ops[i]), group));
      } else if (i < expected.size()) {
        faults_.push_back(fmt::format("{} of group {} has no counterpart on rank {}",
                                      place(first, expected[i]), group, rank));
      } else {
        faults_.push_back(fmt::format("{} of group {} has no counterpart on rank {}",
                                      place(rank, ops[i]), group, first));
      }
    }
  }

  const RankPrograms& programs_;
  const Meetings meetings_;
  std::vector<std::string> faults_;
};

// Runs the lists one operation at a time per rank; only Receive and collectives wait.
class Progress {
 public:
  explicit Progress(const RankPrograms& programs)
      : programs_(programs),
        meetings_(programs),
        next_(programs.size(), 0),
        arrived_(meetings_.groups.size(), 0) {
    for (int rank = std::ssize(programs) - 1; rank >= 0; --rank) runnable_.push_back(rank);
  }

  std::vector<std::string> faults() {
    while (!runnable_.empty()) {
      const int rank = runnable_.back();
      runnable_.pop_back();
      while (is_running(rank) && step(rank)) ++next_[rank];
    }
    for (int rank = 0; rank < std::ssize(programs_); ++rank) {
      if (is_running(rank)) return {circle_from(rank)};
    }
    return {};
  }

 private:
  struct Wire {
    std::size_t sent = 0, received = 0;
    bool awaited = false;
  };

  bool is_running(int rank) const { return next_[rank] < std::ssize(programs_[rank].ops); }
  const Op& op_of(int rank) const { return programs_[rank].ops[next_[rank]]; }
  int group_of(int rank) const { return meetings_.group_numbers[rank][op_of(rank).group]; }

  // False when the rank waits; who ends the wait makes it runnable again.
  bool step(int rank) {
    const Op& op = op_of(rank);
    switch (op.kind) {
      case OpKind::load:
      case OpKind::loss:
      case OpKind::update:
        return true;
      case OpKind::forward:
      case OpKind::backward:
        return !meets_others(op) || arrive(rank);
      case OpKind::send: {
        Wire& wire = wires_[{rank, op.peer}];
        ++wire.sent;
        if (std::exchange(wire.awaited, false)) runnable_.push_back(op.peer);
        return true;
      }
      case OpKind::receive: {
        Wire& wire = wires_[{op.peer, rank}];
        if (wire.received < wire.sent) {
          ++wire.received;
          return true;
        }
        wire.awaited = true;
        return false;
      }
      case OpKind::all_reduce:
      case OpKind::agree:
        return arrive(rank);
    }
    return true;
  }

  // The last member to arrive lets all others go on.
  bool arrive(int rank) {
    const int group = group_of(rank);
    const std::vector<int>& ranks = meetings_.groups[group].group.ranks;
    if (++arrived_[group] < std::ssize(ranks)) return false;
    arrived_[group] = 0;
    for (const int other : ranks) {
      if (other == rank) continue;
      ++next_[other];
      runnable_.push_back(other);
    }
    return true;
  }

  // The rank and operation that the rank waits for. Matching lists always have one.
  std::pair<int, int> awaited_by(int rank) const {
    const Op& op = op_of(rank);
    if (op.kind == OpKind::receive) {
      const auto wire = wires_.find({op.peer, rank});
      return {op.peer, meetings_.links.at({op.peer, rank}).sends[wire->second.sent]};
    }
    const Meetings::Collectives& collectives = meetings_.groups[group_of(rank)];
    for (const int other : collectives.group.ranks) {
      const std::vector<int>& ops = collectives.ops.at(other);
      const auto ahead = std::lower_bound(ops.begin(), ops.end(), next_[other]);
      if (*ahead != next_[other]) return {other, *ahead};
    }
    return {rank, next_[rank]};
  }

  std::string circle_from(int rank) const {
    std::vector<bool> seen(programs_.size());
    while (!seen[rank]) {
      seen[rank] = true;
      rank = awaited_by(rank).first;
    }
    std::string text;
    const int first = rank;
    do {
      const auto [other, op] = awaited_by(rank);
      text += fmt::format("{}{} waits for {}", text.empty() ? "" : "; ",
                          place_of(programs_[rank], next_[rank]), place_of(programs_[other], op));
      rank = other;
    } while (rank != first);
    text = "the programs cannot finish: " + text;
    return text;
  }

  const RankPrograms& programs_;
  const Meetings meetings_;
  std::vector<int> next_;     // by rank: the operation it is at
  std::vector<int> arrived_;  // by group: members that wait in its present collective
  std::vector<int> runnable_;
  std::map<Pair, Wire> wires_;
};

}  // namespace

std::vector<std::string> matching_faults(const RankPrograms& programs) {
  return Matcher(programs).faults();
}

std::vector<std::string> progress_faults(const RankPrograms& programs) {
  return Progress(programs).faults();
}

}  // namespace shoal
