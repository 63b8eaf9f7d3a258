// The proof that a schedule is an all-reduce: it is run on symbols, chunk by chunk.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "shoal/comm/schedule.h"

namespace shoal {
namespace {

// Sums as numbers: equal numbers are equal bits. 0 .. n-1 are the ranks' contributions. An addition
// of two values gives the same bits whichever comes first, so that much of the order is free.
class Sums {
 public:
  explicit Sums(int size) {
    for (int rank = 0; rank < size; ++rank) {
      parts_.emplace_back(size);
      parts_.back()[rank] = 1;
    }
  }
  int add(int a, int b) {
    const auto [at, is_new] = numbers_.try_emplace(std::minmax(a, b), std::ssize(parts_));
    if (is_new) {
      std::vector<int> both = parts_[a];
      for (std::size_t rank = 0; rank < both.size(); ++rank) both[rank] += parts_[b][rank];
      parts_.push_back(std::move(both));
    }
    return at->second;
  }
  // How often each rank's contribution is in it.
  const std::vector<int>& contributions(int sum) const { return parts_[sum]; }

 private:
  std::vector<std::vector<int>> parts_;
  std::map<std::pair<int, int>, int> numbers_;
};

// What a rank holds of the chunk.
struct Held {
  int sum;
  std::vector<bool> after;  // transfers, by number of this chunk, that it came after
};

class ChunkProof {
 public:
  ChunkProof(const Schedule& schedule, int chunk)
      : schedule_(schedule), chunk_(chunk), sums_(schedule.size) {
    for (std::size_t i = 0; i < schedule.transfers.size(); ++i) {
      const Transfer& transfer = schedule.transfers[i];
      if (transfer.first <= chunk && chunk < transfer.first + transfer.chunks) own_.push_back(i);
    }
    for (int rank = 0; rank < schedule.size; ++rank) {
      held_.push_back({rank, std::vector<bool>(own_.size())});
    }
  }

  std::optional<std::string> problem() {
    for (std::size_t begin = 0; begin < own_.size();) {
      std::size_t end = begin;
      while (end < own_.size() && transfer(end).step == transfer(begin).step) ++end;
      if (auto fault = step(begin, end)) return fault;
      begin = end;
    }
    return fault_of_result();
  }

 private:
  const Transfer& transfer(std::size_t number) const { return schedule_.transfers[own_[number]]; }
  std::string named(std::size_t number) const {
    return fmt::format("step {}, {}", transfer(number).step, text_of(transfer(number)));
  }

  // The transfers [begin, end) of one step.
  std::optional<std::string> step(std::size_t begin, std::size_t end) {
    const std::vector<Held> before = held_;
    for (int rank = 0; rank < schedule_.size; ++rank) {
      std::vector<std::size_t> incoming;
      for (std::size_t i = begin; i < end; ++i) {
        if (transfer(i).to == rank) incoming.push_back(i);
      }
      if (incoming.empty()) continue;
      const bool replaces = transfer(incoming.front()).effect == Transfer::Effect::replace;
      if (replaces || incoming.size() > 1) {
        for (const std::size_t i : incoming) {
          if (incoming.size() > 1 && transfer(i).effect == Transfer::Effect::replace) {
            return fmt::format("{}: rank {} gets chunk {} from others in the same step", named(i),
                               rank, chunk_);
          }
        }
      }
      if (replaces) {
        if (auto fault = replace(rank, incoming.front(), before)) return fault;
      } else {
        add(rank, incoming, before);
      }
    }
    return std::nullopt;
  }

  void add(int rank, const std::vector<std::size_t>& incoming, const std::vector<Held>& before) {
    std::vector<int> ranks{rank};
    for (const std::size_t i : incoming) ranks.push_back(transfer(i).from);
    std::sort(ranks.begin(), ranks.end());
    Held sum = before[ranks.front()];
    for (std::size_t i = 1; i < ranks.size(); ++i) {
      sum.sum = sums_.add(sum.sum, before[ranks[i]].sum);
      come_after(sum, before[ranks[i]]);
    }
    for (const std::size_t i : incoming) sum.after[i] = true;
    held_[rank] = std::move(sum);
  }

  std::optional<std::string> replace(int rank, std::size_t number,
                                     const std::vector<Held>& before) {
    const Held& whole = before[transfer(number).from];
    for (std::size_t i = 0; i < own_.size(); ++i) {
      const bool sent = transfer(i).from == rank && transfer(i).step <= transfer(number).step;
      if (sent && !whole.after[i]) {
        return fmt::format("{}: it may overwrite chunk {} while rank {} still sends it ({})",
                           named(number), chunk_, rank, named(i));
      }
    }
    held_[rank] = whole;
    held_[rank].after[number] = true;
    return std::nullopt;
  }

  static void come_after(Held& held, const Held& other) {
    for (std::size_t i = 0; i < held.after.size(); ++i) {
      if (other.after[i]) held.after[i] = true;
    }
  }

  std::optional<std::string> fault_of_result() const {
    for (int rank = 0; rank < schedule_.size; ++rank) {
      const std::vector<int>& in = sums_.contributions(held_[rank].sum);
      for (int other = 0; other < schedule_.size; ++other) {
        if (in[other] == 1) continue;
        return fmt::format(
            "rank {} ends with chunk {} {} the contribution of rank {}", rank, chunk_,
            in[other] == 0 ? "without" : fmt::format("with {} times", in[other]), other);
      }
      if (held_[rank].sum != held_[0].sum) {
        return fmt::format("ranks 0 and {} sum chunk {} in different orders", rank, chunk_);
      }
    }
    return std::nullopt;
  }

  const Schedule& schedule_;
  const int chunk_;
  Sums sums_;
  std::vector<std::size_t> own_;  // transfers of this chunk
  std::vector<Held> held_;        // by rank
};

std::optional<std::string> fault_of_shape(const Schedule& schedule) {
  int step = 0;
  for (const Transfer& transfer : schedule.transfers) {
    const auto is_rank = [&](int rank) { return 0 <= rank && rank < schedule.size; };
    if (!is_rank(transfer.from) || !is_rank(transfer.to) || transfer.from == transfer.to ||
        transfer.first < 0 || transfer.chunks < 1 ||
        transfer.first + transfer.chunks > schedule.chunks) {
      return fmt::format("step {}, {}: there are ranks 0 to {} and chunks 0 to {}", transfer.step,
                         text_of(transfer), schedule.size - 1, schedule.chunks - 1);
    }
    if (transfer.step < step) {
      return fmt::format("step {}, {}: it comes after a transfer of step {}", transfer.step,
                         text_of(transfer), step);
    }
    step = transfer.step;
  }
  return std::nullopt;
}

}  // namespace

std::string problem_of(const Schedule& schedule) {
  if (const auto fault = fault_of_shape(schedule)) return *fault;
  for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
    if (const auto fault = ChunkProof(schedule, chunk).problem()) return *fault;
  }
  return "";
}

}  // namespace shoal
