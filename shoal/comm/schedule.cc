#include "shoal/comm/schedule.h"

#include <fmt/format.h>

#include <algorithm>

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

std::vector<bool> carries_partial_sums(const Schedule& schedule) {
  // By rank and chunk: whether something was added to what the rank holds.
  std::vector<bool> partial(static_cast<std::size_t>(schedule.size * schedule.chunks));
  std::vector<bool> after = partial;
  std::vector<bool> carries;
  int step = -1;
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step) partial = after;
    step = transfer.step;
    bool any = false;
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      any |= partial[static_cast<std::size_t>(transfer.from * schedule.chunks + chunk)];
      if (transfer.effect == Transfer::Effect::add) {
        after[static_cast<std::size_t>(transfer.to * schedule.chunks + chunk)] = true;
      }
    }
    carries.push_back(any && transfer.effect == Transfer::Effect::add);
  }
  return carries;
}

std::vector<int> steps_that_complete(const Schedule& schedule, int rank) {
  // By rank and chunk: how many contributions are in it.
  std::vector<int> before(static_cast<std::size_t>(schedule.size * schedule.chunks), 1);
  std::vector<int> after = before;
  std::vector<int> complete(static_cast<std::size_t>(schedule.chunks), -1);
  int step = -1;
  for (const Transfer& transfer : schedule.transfers) {
    if (transfer.step != step) before = after;
    step = transfer.step;
    for (int chunk = transfer.first; chunk < transfer.first + transfer.chunks; ++chunk) {
      const int given = before[static_cast<std::size_t>(transfer.from * schedule.chunks + chunk)];
      int& held = after[static_cast<std::size_t>(transfer.to * schedule.chunks + chunk)];
      if (transfer.effect == Transfer::Effect::replace) {
        held = given;
        continue;
      }
      held += given;
      if (transfer.to == rank && held == schedule.size) complete[chunk] = step;
    }
  }
  return complete;
}

Schedule reduce_scatter_part(const Schedule& all_reduce) {
  Schedule schedule = all_reduce;
  std::erase_if(schedule.transfers, [](const Transfer& transfer) {
    return transfer.effect == Transfer::Effect::replace;
  });
  return schedule;
}

Schedule reduce_part(const Schedule& all_reduce, int root) {
  Schedule schedule = all_reduce;
  std::erase_if(schedule.transfers, [&](const Transfer& transfer) {
    return transfer.effect == Transfer::Effect::replace && transfer.to != root;
  });
  return schedule;
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
