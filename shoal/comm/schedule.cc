#include "shoal/comm/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shoal/core/partition.h"

namespace shoal {

int Schedule::steps() const { return transfers.empty() ? 0 : transfers.back().step + 1; }

std::int64_t elements_of(const Schedule& schedule, const Transfer& transfer,
                         std::int64_t elements) {
  const Range first = part_of(elements, schedule.chunks, transfer.first);
  const Range last = part_of(elements, schedule.chunks, transfer.first + transfer.chunks - 1);
  return last.end - first.begin;
}

ScheduleCounts count(const Schedule& schedule, std::int64_t elements) {
  const auto size = static_cast<std::size_t>(schedule.size);
  ScheduleCounts counts{.steps = schedule.steps(),
                        .sent = std::vector<std::int64_t>(size),
                        .link = {size, std::vector<std::int64_t>(size)}};
  for (const Transfer& transfer : schedule.transfers) {
    const std::int64_t moved = elements_of(schedule, transfer, elements);
    counts.sent[transfer.from] += moved;
    counts.link[transfer.from][transfer.to] += moved;
    counts.total += moved;
  }
  return counts;
}

// Follows how many contributions are in what each rank holds of each chunk.
RankSchedule rank_schedule(Schedule schedule, int rank) {
  const auto at = [chunks = schedule.chunks](int holder, int chunk) {
    return static_cast<std::size_t>(holder) * chunks + chunk;
  };
  std::vector<int> before(static_cast<std::size_t>(schedule.size * schedule.chunks), 1);
  std::vector<int> after = before;
  std::vector<bool> carries_partial_sum;
  std::vector<int> completed_by(static_cast<std::size_t>(schedule.chunks), -1);
  int step = -1;
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step) before = after;
    step = transfer.step;
    const bool adds = transfer.effect == Transfer::Effect::add;
    bool partial = false;
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      const int given = before[at(transfer.from, chunk)];
      int& held = after[at(transfer.to, chunk)];
      held = adds ? held + given : given;
      partial |= adds && given > 1;
      if (adds && transfer.to == rank && held == schedule.size) completed_by[chunk] = step;
    }
    carries_partial_sum.push_back(partial);
  }
  return {std::move(schedule), rank, std::move(carries_partial_sum), std::move(completed_by)};
}

Schedule reduce_scatter_part(const Schedule& all_reduce) {
  Schedule schedule = all_reduce;
  std::erase_if(schedule.transfers, [](const Transfer& transfer) {
    return transfer.effect == Transfer::Effect::replace;
  });
  return schedule;
}

Schedule handed_on(Schedule reduce_scatter, const std::vector<int>& to) {
  const int step = reduce_scatter.steps();
  for (int owner = 0; owner < reduce_scatter.size; ++owner) {
    for (const int rank : to) {
      if (rank == owner) continue;
      reduce_scatter.transfers.push_back({.step = step,
                                          .from = owner,
                                          .to = rank,
                                          .first = owner,
                                          .effect = Transfer::Effect::replace});
    }
  }
  return reduce_scatter;
}

std::string text_of(const Transfer& transfer) {
  const char effect = transfer.effect == Transfer::Effect::add ? '+' : '=';
  const int last = transfer.first + transfer.chunks - 1;
  return fmt::format("{}>{} {}[{}{}]", transfer.from, transfer.to, effect, transfer.first,
                     transfer.chunks > 1 ? fmt::format("-{}", last) : std::string());
}

std::string text_of(const Schedule& schedule) {
  std::string text;
  int step = -1;
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step) {
      step = transfer.step;
      text += fmt::format("{}step {}: ", text.empty() ? "" : "\n", step);
    } else {
      text += ", ";
    }
    text += text_of(transfer);
  }
  return text.empty() ? text : text + "\n";
}

}  // namespace shoal
