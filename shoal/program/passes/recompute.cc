// Recomputation: only the inputs of segments of blocks are kept; a segment's forward runs again
// before its backward.
//   before   Load F0 F1 F2 F3 Loss B3 B2 B1 B0 Agree Update
//   after    Load F0 F1 F2 F3 Loss B3 B2 R0 R1 B1 B0 Agree Update          (segments 0-1 and 2-3)
// F0 and F1 keep nothing, R0 and R1 do. A segment whose backward follows its forward at once, as
// 2-3 here, would only be computed twice. Source: Chen et al., Training Deep Nets with Sublinear
// Memory Cost, 2016, section 4.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "shoal/program/passes/passes.h"

namespace shoal {
namespace {

int blocks_per_segment(const RecomputeOptions& options, int blocks) {
  switch (options.mode) {
    case RecomputeMode::none:
    case RecomputeMode::all:
      return 1;
    case RecomputeMode::sqrt:
      return std::max(1, static_cast<int>(std::lround(std::sqrt(static_cast<double>(blocks)))));
    case RecomputeMode::every:
      return options.every;
  }
  return 1;
}

// The segment of each block that has a Backward in this program.
std::map<int, int> segments_of(const Program& program, const RecomputeOptions& options) {
  std::map<int, int> segments;
  for (const Op& op : program.ops) {
    if (op.kind == OpKind::backward) segments[op.block] = 0;
  }
  const int length = blocks_per_segment(options, static_cast<int>(segments.size()));
  int position = 0;
  for (auto& [block, segment] : segments) segment = position++ / length;
  return segments;
}

// What one segment does on one micro-batch, as indices into the list.
struct Passage {
  std::vector<int> forwards;
  int first_backward = -1;
  bool again = false;  // its forward is run again
};
using Passages = std::map<std::pair<int, int>, Passage>;  // by segment and micro-batch

Passages passages_of(const Program& program, const std::map<int, int>& segments) {
  Passages passages;
  int last_work = -1;  // the forward or backward before
  for (int i = 0; i < std::ssize(program.ops); ++i) {
    const Op& op = program.ops[i];
    if (op.kind != OpKind::forward && op.kind != OpKind::backward) continue;
    const int before = std::exchange(last_work, i);
    const auto segment = segments.find(op.block);
    if (segment == segments.end()) continue;
    Passage& passage = passages[{segment->second, op.micro_batch}];
    if (op.kind == OpKind::forward) {
      passage.forwards.push_back(i);
    } else if (passage.first_backward < 0) {
      passage.first_backward = i;
      passage.again = before != passage.forwards.back();
    }
  }
  return passages;
}

// The received gradient is not needed by the forwards: they come before, and fill the wait.
int insertion_point(const Program& program, int backward) {
  int point = backward;
  while (point > 0 && program.ops[point - 1].kind == OpKind::receive) --point;
  return point;
}

Op again(Op forward) {
  forward.mode = ForwardMode::recompute;
  for (const Use& use : forward.accumulates) forward.reads.push_back(use);
  forward.accumulates.clear();
  return forward;
}

void keep_nothing(Op& forward) {
  forward.mode = ForwardMode::no_save;
  std::erase_if(forward.writes, [](const Use& use) { return use.value.kind == ValueKind::saved; });
}

Program recomputed(Program program, const RecomputeOptions& options) {
  const Passages passages = passages_of(program, segments_of(program, options));
  std::multimap<int, Op> inserted;  // by the index they come before
  for (const auto& [name, passage] : passages) {
    if (!passage.again) continue;
    const int point = insertion_point(program, passage.first_backward);
    for (const int i : passage.forwards) inserted.emplace(point, again(program.ops[i]));
  }
  for (const auto& [name, passage] : passages) {
    if (!passage.again) continue;
    for (const int i : passage.forwards) keep_nothing(program.ops[i]);
  }
  std::vector<Op> ops;
  ops.reserve(program.ops.size() + inserted.size());
  for (int i = 0; i < std::ssize(program.ops); ++i) {
    const auto [begin, end] = inserted.equal_range(i);
    for (auto op = begin; op != end; ++op) ops.push_back(std::move(op->second));
    ops.push_back(std::move(program.ops[i]));
  }
  program.ops = std::move(ops);
  return program;
}

}  // namespace

RankPrograms recompute(RankPrograms programs, const std::vector<BlockFacts>& /*blocks*/,
                       const RecomputeOptions& options) {
  if (options.mode == RecomputeMode::none) return programs;
  for (Program& program : programs) {
    if (program.trains) program = recomputed(std::move(program), options);
  }
  return programs;
}

}  // namespace shoal
