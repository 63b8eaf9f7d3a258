#include "shoal/program/memory_bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "shoal/program/number_text.h"

namespace shoal {
namespace {

std::int64_t workspace_of(const Op& op, const Program& program,
                          const std::vector<BlockFacts>& blocks) {
  switch (op.kind) {
    case OpKind::forward:
    case OpKind::backward: {
      const double bytes = blocks.at(op.block).workspace_bytes.at(program.micro_batch_samples);
      return std::max<std::int64_t>(0, static_cast<std::int64_t>(bytes));
    }
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::agree:
      return op.bytes;
    case OpKind::load:
    case OpKind::loss:
    case OpKind::update:
      return 0;
  }
  return 0;
}

// The values alive at a point of the list, with their bytes.
class Alive {
 public:
  Alive(const Program& program, const std::vector<BlockFacts>& blocks, double state_per_parameter)
      : program_(program), blocks_(blocks), state_per_parameter_(state_per_parameter) {}

  void add(const Value& value) {
    const auto [entry, is_new] = bytes_.try_emplace(value, 0);
    if (!is_new) return;
    entry->second =
        std::max<std::int64_t>(0, bytes_of(value, program_, blocks_, state_per_parameter_));
    sum_ += entry->second;
    by_kind_[static_cast<std::size_t>(value.kind)] += entry->second;
  }
  void remove(const Value& value) {
    const auto entry = bytes_.find(value);
    if (entry == bytes_.end()) return;
    sum_ -= entry->second;
    by_kind_[static_cast<std::size_t>(value.kind)] -= entry->second;
    bytes_.erase(entry);
  }

  std::int64_t sum() const { return sum_; }
  std::map<ValueKind, std::int64_t> by_kind() const {
    std::map<ValueKind, std::int64_t> kinds;
    for (std::size_t i = 0; i < by_kind_.size(); ++i) {
      if (by_kind_[i] > 0) kinds[static_cast<ValueKind>(i)] = by_kind_[i];
    }
    return kinds;
  }

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(ValueKind::agreed) + 1;

  const Program& program_;
  const std::vector<BlockFacts>& blocks_;
  double state_per_parameter_;
  std::unordered_map<Value, std::int64_t, ValueHash> bytes_;
  std::int64_t sum_ = 0;
  std::array<std::int64_t, kKinds> by_kind_{};
};

void add_carried(const Program& program, const std::vector<BlockFacts>& blocks, Alive& alive) {
  for (const int block : program.blocks()) {
    for (int i = 0; i < std::ssize(blocks.at(block).parameters); ++i) {
      alive.add({.kind = ValueKind::parameter, .block = block, .index = i});
    }
    for (int i = 0; i < std::ssize(blocks.at(block).buffers); ++i) {
      alive.add({.kind = ValueKind::buffer, .block = block, .index = i});
    }
  }
  for (const Op& op : program.ops) {
    for (const auto* uses : {&op.reads, &op.writes, &op.accumulates}) {
      for (const Use& use : *uses) {
        if (is_carried(use.value.kind)) alive.add(use.value);
      }
    }
  }
}

}  // namespace

MemoryBound memory_bound(const Program& program, const std::vector<BlockFacts>& blocks,
                         double state_per_parameter) {
  Alive alive(program, blocks, state_per_parameter);
  add_carried(program, blocks, alive);
  MemoryBound bound{.peak = alive.sum(), .by_kind = alive.by_kind()};
  for (int i = 0; i < std::ssize(program.ops); ++i) {
    const Op& op = program.ops[i];
    for (const Use& use : op.writes) alive.add(use.value);
    for (const Use& use : op.accumulates) alive.add(use.value);
    const std::int64_t workspace = workspace_of(op, program, blocks);
    if (alive.sum() + workspace > bound.peak) {
      bound = {.peak = alive.sum() + workspace,
               .at_op = i,
               .by_kind = alive.by_kind(),
               .workspace = workspace};
    }
    for (const Value& value : op.frees) alive.remove(value);
  }
  return bound;
}

std::string text_of(const MemoryBound& bound, const Program& program) {
  std::vector<std::pair<std::int64_t, std::string>> parts;
  for (const auto& [kind, bytes] : bound.by_kind) {
    parts.emplace_back(bytes, std::string(name_of(kind)));
  }
  std::sort(parts.rbegin(), parts.rend());
  if (bound.workspace > 0) parts.emplace_back(bound.workspace, "workspace");
  std::string text = human_bytes(bound.peak);
  if (bound.at_op < std::ssize(program.ops)) {
    text += fmt::format(" at operation {} {}", bound.at_op,
                        text_of(program.ops[bound.at_op], program.micro_batches));
  }
  const char* separator = ": ";
  for (auto& [bytes, name] : parts) {
    std::replace(name.begin(), name.end(), '_', ' ');
    text += fmt::format("{}{} {}", std::exchange(separator, ", "), name, human_bytes(bytes));
  }
  return text;
}

}  // namespace shoal
