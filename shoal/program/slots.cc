#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "shoal/program/number_text.h"
#include "shoal/program/picture.h"
#include "shoal/program/processor_sharing.h"
#include "shoal/program/timing.h"

namespace shoal {
namespace {

enum class Direction { none, forward, backward };

Direction direction_of(const Op& op) {
  switch (op.kind) {
    case OpKind::forward:
      // Runs in the slot of the backward that follows.
      return op.mode == ForwardMode::recompute ? Direction::none : Direction::forward;
    case OpKind::backward:
      return Direction::backward;
    case OpKind::load:
    case OpKind::loss:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::agree:
    case OpKind::update:
      return Direction::none;
  }
  return Direction::none;
}

// By operation: whether it begins a run of one direction on one micro-batch. It takes the run's
// slot, the rest of the run nothing.
std::vector<bool> begins_run(const Program& program) {
  std::vector<bool> begins(program.ops.size());
  std::pair run{Direction::none, -1};
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    const std::pair here{direction_of(op), op.micro_batch};
    if (here.first == Direction::none) continue;
    begins[i] = here != run;
    run = here;
  }
  return begins;
}

// "rank 3", "ranks 0-2,5"
std::string text_of_ranks(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + ranges_text(ranks);
}

std::string row_of(const std::vector<Slots::Box>& boxes, int total, std::size_t width) {
  std::vector<std::string> cells(total, ".");
  for (const Slots::Box& box : boxes) {
    cells[box.slot] = fmt::format("{}{}", box.forward ? 'F' : 'B', box.micro_batch);
  }
  std::string row;
  for (const std::string& cell : cells) row += fmt::format(" {:<{}}", cell, width);
  row.erase(row.find_last_not_of(' ') + 1);
  return row;
}

std::string counted(int count, std::string_view what) {
  return fmt::format("{} {} slot{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

Slots slots_of(const RankPrograms& programs) {
  std::vector<std::vector<bool>> begins;
  for (const Program& program : programs) begins.push_back(begins_run(program));
  const auto cost_of = [&](const Program& program, int index) -> Cost {
    const auto rank = &program - programs.data();
    return {{{ProcessorSharing::kPrivate, begins[rank][index] ? 1.0 : 0.0}}};
  };
  const Timeline timeline = time_programs(programs, {.capacities = {}, .cost_of = cost_of});

  Slots slots;
  slots.total = static_cast<int>(std::lround(timeline.makespan));
  std::set<int> forward;
  std::set<int> backward;
  std::size_t boxes = 0;
  for (std::size_t rank = 0; rank < programs.size(); ++rank) {
    auto& row = slots.ranks.emplace_back();
    for (const TimedOp& timed : timeline.ranks[rank]) {
      if (!begins[rank][timed.op]) continue;
      const Op& op = programs[rank].ops[timed.op];
      const bool is_forward = direction_of(op) == Direction::forward;
      const int slot = static_cast<int>(std::lround(timed.start));
      row.push_back({slot, op.micro_batch, is_forward});
      (is_forward ? forward : backward).insert(slot);
      ++boxes;
    }
  }
  slots.forward = static_cast<int>(forward.size());
  slots.backward = static_cast<int>(backward.size());
  if (slots.total > 0) {
    slots.busy = static_cast<double>(boxes) /
                 (static_cast<double>(slots.total) * static_cast<double>(programs.size()));
  }
  return slots;
}

std::string slot_picture(const RankPrograms& programs, const std::vector<BlockFacts>& /*blocks*/) {
  const Slots slots = slots_of(programs);
  std::size_t width = 2;
  for (const Program& program : programs) {
    width = std::max(width, fmt::formatted_size("F{}", program.micro_batches - 1));
  }
  std::vector<std::pair<std::string, std::vector<int>>> rows;  // with the ranks that show them
  for (int rank = 0; rank < std::ssize(programs); ++rank) {
    auto row = row_of(slots.ranks[rank], slots.total, width);
    const auto alike = std::find_if(rows.begin(), rows.end(),
                                    [&](const auto& other) { return other.first == row; });
    if (alike == rows.end()) {
      rows.emplace_back(std::move(row), std::vector<int>{rank});
    } else {
      alike->second.push_back(rank);
    }
  }
  std::size_t label = 0;
  for (const auto& [row, ranks] : rows) label = std::max(label, text_of_ranks(ranks).size());
  std::string text;
  for (const auto& [row, ranks] : rows) {
    text += fmt::format("{:<{}} |{}\n", text_of_ranks(ranks), label, row);
  }
  text += counted(slots.forward, "forward");
  if (slots.backward > 0) text += ", " + counted(slots.backward, "backward");
  return text + fmt::format("; busy {:.0f} %\n", 100 * slots.busy);
}

int forward_slots(const RankPrograms& programs, const std::vector<BlockFacts>& /*blocks*/) {
  return slots_of(programs).forward;
}

}  // namespace shoal
