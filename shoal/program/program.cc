#include "shoal/program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace shoal {
namespace {

// What has happened to a value so far. Lanes keep order, so of several readers in one lane only the
// last has to be waited for.
struct History {
  int writer = -1;
  std::vector<int> readers;  // since `writer`, at most one per lane
};

// Numbers the lanes of a program 0, 1, ... in order of appearance.
std::vector<int> lanes_of(const Program& program) {
  std::map<Lane, int> numbers;
  std::vector<int> lanes;
  lanes.reserve(program.ops.size());
  for (const Op& op : program.ops) {
    lanes.push_back(numbers.try_emplace(lane_of(op), std::ssize(numbers)).first->second);
  }
  return lanes;
}

class DependencyFinder {
 public:
  explicit DependencyFinder(const Program& program)
      : lanes_(lanes_of(program)), last_in_lane_(program.ops.size(), -1) {}

  std::vector<int> next(int index, const Op& op) {
    needs_.clear();
    need(std::exchange(last_in_lane_[lanes_[index]], index));
    for (const Use& use : op.reads) need(history_[use.value].writer);
    for (const Use& use : op.writes) need_all(history_[use.value]);
    for (const Use& use : op.accumulates) need_all(history_[use.value]);
    for (const Value& value : op.frees) need_all(history_[value]);
    for (const Use& use : op.reads) note_reader(history_[use.value], index);
    for (const Use& use : op.writes) history_[use.value] = {index, {}};
    for (const Use& use : op.accumulates) history_[use.value] = {index, {}};
    for (const Value& value : op.frees) note_reader(history_[value], index);
    std::sort(needs_.begin(), needs_.end());
    return needs_;
  }

 private:
  // Keeps the latest operation of each lane.
  void need(int index) {
    if (index < 0) return;
    for (int& other : needs_) {
      if (lanes_[other] == lanes_[index]) {
        other = std::max(other, index);
        return;
      }
    }
    needs_.push_back(index);
  }
  void need_all(const History& history) {
    need(history.writer);
    for (const int reader : history.readers) need(reader);
  }
  void note_reader(History& history, int index) {
    for (int& other : history.readers) {
      if (lanes_[other] == lanes_[index]) {
        other = index;
        return;
      }
    }
    history.readers.push_back(index);
  }

  std::vector<int> lanes_;
  std::vector<int> last_in_lane_;  // by lane number
  std::unordered_map<Value, History, ValueHash> history_;
  std::vector<int> needs_;
};

// Targets are at most one number per sample and position: the last dimension of the output counts
// classes.
std::int64_t targets_per_sample(const BlockFacts& last) {
  std::int64_t most = 1;
  for (const ActivationFacts& output : last.outputs) {
    std::int64_t positions = 1;
    for (std::size_t i = 0; i + 1 < output.sample_shape.size(); ++i) {
      positions *= output.sample_shape[i];
    }
    most = std::max(most, positions);
  }
  return most;
}

std::int64_t gradient_bytes_per_sample(const BlockFacts& block) {
  std::int64_t sum = 0;
  for (const ActivationFacts& output : block.outputs) {
    if (output.differentiable) sum += output.bytes_per_sample();
  }
  return sum;
}

}  // namespace

std::string lane_name(const Lane& lane, const Program& program) {
  switch (lane.kind) {
    case Lane::Kind::compute:
      return "compute";
    case Lane::Kind::group:
      if (lane.index < 0 || lane.index >= std::ssize(program.groups)) return "agree";
      return program.groups[lane.index].name;
    case Lane::Kind::send:
      return fmt::format("to {}", lane.index);
    case Lane::Kind::receive:
      return fmt::format("from {}", lane.index);
  }
  return "?";
}

std::string_view name_of(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::train:
      return "train";
    case ProgramKind::evaluate:
      return "evaluate";
    case ProgramKind::predict:
      return "predict";
  }
  return "?";
}

int Program::group_index(const GroupFacts& group) {
  const auto found = std::find(groups.begin(), groups.end(), group);
  if (found != groups.end()) return static_cast<int>(found - groups.begin());
  groups.push_back(group);
  return static_cast<int>(groups.size()) - 1;
}

std::vector<int> Program::blocks() const {
  std::vector<int> blocks;
  for (const Op& op : ops) {
    if (op.kind == OpKind::forward) blocks.push_back(op.block);
  }
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  return blocks;
}

std::vector<std::vector<int>> dependencies(const Program& program) {
  DependencyFinder finder(program);
  std::vector<std::vector<int>> needs;
  needs.reserve(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    needs.push_back(finder.next(static_cast<int>(i), program.ops[i]));
  }
  return needs;
}

void number_versions(Program& program) {
  std::unordered_map<Value, int, ValueHash> writes;
  for (Op& op : program.ops) {
    for (Use& use : op.reads) use.version = writes[use.value];
    for (Use& use : op.writes) use.version = writes[use.value];
    for (Use& use : op.accumulates) use.version = writes[use.value];
    for (const Use& use : op.writes) ++writes[use.value];
    for (const Use& use : op.accumulates) ++writes[use.value];
  }
}

std::int64_t bytes_of(const Value& value, const Program& program,
                      const std::vector<BlockFacts>& blocks, double state_per_parameter) {
  const std::int64_t samples = program.micro_batch_samples;
  switch (value.kind) {
    case ValueKind::batch: {
      std::int64_t per_sample = 8 * (1 + targets_per_sample(blocks.back()));  // ids and targets
      if (program.stage == 0) {
        for (const ActivationFacts& input : blocks.front().inputs) {
          per_sample += input.bytes_per_sample();
        }
      }
      return samples * per_sample;
    }
    case ValueKind::activation:
      return samples * blocks.at(value.block).output_bytes_per_sample();
    case ValueKind::activation_gradient:
      return samples * gradient_bytes_per_sample(blocks.at(value.block));
    case ValueKind::saved:
      return static_cast<std::int64_t>(blocks.at(value.block).saved_bytes.at(samples));
    case ValueKind::parameter:
    case ValueKind::gradient:
      return blocks.at(value.block).parameters.at(value.index).bytes();
    case ValueKind::buffer:
      return blocks.at(value.block).buffers.at(value.index).bytes();
    case ValueKind::optimizer_state:
      return static_cast<std::int64_t>(
          state_per_parameter *
          static_cast<double>(blocks.at(value.block).parameters.at(value.index).bytes()));
    case ValueKind::loss:
      return kLossBytes;
    case ValueKind::agreed:
      return kAgreeBytes;
  }
  return 0;
}

std::string text_of(const Program& program) {
  std::string text;
  for (const Op& op : program.ops) {
    if (!text.empty()) text += ' ';
    text += text_of(op, program.micro_batches);
  }
  return text;
}

}  // namespace shoal
