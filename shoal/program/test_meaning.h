// What the programs of all ranks mean, found by running them with hashes for tensors. Knows nothing
// of the verifier or of how operations are made: it is what tests hold the verifier against.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/program/program.h"

namespace shoal::testing_meaning {

// A tensor's value as a term: equal terms are equal numbers, up to the order of additions. Sums are
// sums of terms, so they do not depend on that order either.
using Term = std::uint64_t;

inline Term mixed(Term a, Term b) {
  Term hash = (a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 12) + (a >> 4))) * 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33;
  return hash * 0xc4ceb9fe1a85ec53ULL ^ (hash >> 29);
}

inline Term term(std::initializer_list<Term> parts) {
  Term hash = 1;
  for (const Term part : parts) hash = mixed(hash, part);
  return hash;
}

inline Term number(std::int64_t value) { return static_cast<Term>(value); }

// What is left when all lists have ended: by rank, what is carried on or asked for. Or why they did
// not end.
struct Meaning {
  std::string error;
  std::vector<std::map<Value, Term>> results;
  friend bool operator==(const Meaning&, const Meaning&) = default;
};

class Interpreter {
 public:
  Interpreter(const RankPrograms& programs, const std::vector<BlockFacts>& blocks, const Plan& plan)
      : programs_(programs), blocks_(blocks), plan_(plan), ranks_(programs.size()) {}

  Meaning run() {
    bool moved = true;
    while (moved && error_.empty()) {
      moved = false;
      for (int rank = 0; rank < std::ssize(programs_) && error_.empty(); ++rank) {
        while (ranks_[rank].next < std::ssize(programs_[rank].ops) && error_.empty() &&
               step(rank)) {
          moved = true;
        }
      }
    }
    for (int rank = 0; rank < std::ssize(programs_); ++rank) {
      if (ranks_[rank].next < std::ssize(programs_[rank].ops)) fail(rank, "deadlock");
    }
    for (const auto& [pair, messages] : wires_) {
      if (!messages.empty()) fail(pair.second, "a message is left over");
    }
    Meaning meaning{error_, {}};
    if (error_.empty()) {
      for (int rank = 0; rank < std::ssize(programs_); ++rank) {
        meaning.results.push_back(results_of(rank));
      }
    }
    return meaning;
  }

 private:
  struct Rank {
    int next = 0;
    std::map<Value, std::optional<Term>> values;  // nullopt: freed
  };
  struct Message {
    Term term;
    std::int64_t bytes;
    ElementType type;
  };

  // On purpose not the product's own: this judges the verifier, which uses that one.
  static bool is_carried(ValueKind kind) {
    return kind == ValueKind::parameter || kind == ValueKind::buffer ||
           kind == ValueKind::optimizer_state;
  }

  static bool is_collective(const Op& op) {
    const bool runs_block = op.kind == OpKind::forward || op.kind == OpKind::backward;
    return op.kind == OpKind::all_reduce || op.kind == OpKind::agree ||
           (runs_block && op.group != -1);
  }

  void fail(int rank, const std::string& why) {
    if (error_.empty()) error_ = fmt::format("rank {}: {}", rank, why);
  }

  static Term initial(const Value& value) {
    return term({11, number(static_cast<int>(value.kind)), number(value.block), number(value.index),
                 number(value.micro_batch)});
  }

  std::optional<Term> find(int rank, const Value& value) const {
    const auto found = ranks_[rank].values.find(value);
    if (found != ranks_[rank].values.end()) return found->second;
    if (is_carried(value.kind)) return initial(value);
    return std::nullopt;
  }

  Term get(int rank, const Value& value) {
    const std::optional<Term> found = find(rank, value);
    if (!found) fail(rank, "reads what is not there");
    return found.value_or(0);
  }

  // Sums begin at zero when there is nothing yet.
  Term sum_so_far(int rank, const Value& value) const { return find(rank, value).value_or(0); }

  // The samples that a rank sees: its place along every axis but the pipeline's.
  Term part_of(int rank) const {
    Term part = 5;
    for (const auto& [axis, size] : plan_.mesh.axes()) {
      if (axis != "pipe") part = mixed(part, number(plan_.mesh.coordinate(rank, axis)));
    }
    return part;
  }

  Term reads_of(int rank, const Op& op, bool with_buffers) {
    Term hash = 7;
    for (const Use& use : op.reads) {
      const Term read = get(rank, use.value);
      if (use.value.kind != ValueKind::buffer || with_buffers) hash = mixed(hash, read);
    }
    return hash;
  }

  // False when the operation has to wait.
  bool step(int rank) {
    const Op& op = programs_[rank].ops[ranks_[rank].next];
    if (is_collective(op)) return meet(rank, op);
    if (op.kind == OpKind::receive && !receive(rank, op)) return false;
    compute(rank, op);
    finish(rank);
    return true;
  }

  void finish(int rank) {
    Rank& self = ranks_[rank];
    for (const Value& value : programs_[rank].ops[self.next].frees) {
      self.values[value] = std::nullopt;
    }
    ++self.next;
  }

  void compute(int rank, const Op& op) {
    auto& values = ranks_[rank].values;
    switch (op.kind) {
      case OpKind::load:
        for (const Use& use : op.writes) {
          values[use.value] = term({13, part_of(rank), number(use.value.micro_batch)});
        }
        return;
      case OpKind::forward:
        return forward(rank, op);
      case OpKind::loss:
      case OpKind::backward: {
        if (op.kind == OpKind::backward && forgets_to_meet(op)) fail(rank, "sums alone");
        const Term reads = term({static_cast<Term>(op.kind), number(op.block),
                                 number(op.micro_batch), reads_of(rank, op, true), summed_});
        for (const Use& use : op.accumulates) {
          const Term share = term({17, reads, number(use.value.index)});
          values[use.value] = sum_so_far(rank, use.value) + share;
        }
        for (const Use& use : op.writes) values[use.value] = term({19, reads});
        return;
      }
      case OpKind::send:
        return send(rank, op);
      case OpKind::update:
        return update(rank, op);
      case OpKind::receive:
      case OpKind::all_reduce:
      case OpKind::agree:
        return;
    }
  }

  void forward(int rank, const Op& op) {
    auto& values = ranks_[rank].values;
    const bool evaluates = op.mode == ForwardMode::evaluate;
    if (forgets_to_meet(op)) fail(rank, "sums alone");
    const Term reads = term({number(op.block), number(op.micro_batch), evaluates,
                             reads_of(rank, op, evaluates), summed_});
    if (op.mode == ForwardMode::train || op.mode == ForwardMode::no_save) {
      for (const Use& use : op.accumulates) {
        values[use.value] = get(rank, use.value) + term({23, reads, number(use.value.index)});
      }
    }
    const bool saves = op.mode == ForwardMode::train || op.mode == ForwardMode::recompute;
    for (const Use& use : op.writes) {
      if (use.value.kind == ValueKind::saved && !saves) continue;
      values[use.value] = term({number(static_cast<int>(use.value.kind)), reads});
    }
  }

  void update(int rank, const Op& op) {
    auto& values = ranks_[rank].values;
    const Term agreed = get(rank, {ValueKind::agreed, -1, -1, -1});
    std::map<std::pair<int, int>, Term> gradients;
    for (const Use& use : op.reads) {
      const Term read = get(rank, use.value);
      if (use.value.kind == ValueKind::gradient) {
        gradients[{use.value.block, use.value.index}] = read;
      }
    }
    for (const Use& use : op.accumulates) {
      const auto gradient = gradients.find({use.value.block, use.value.index});
      if (gradient == gradients.end()) return fail(rank, "updates without a gradient");
      values[use.value] = term({29, get(rank, use.value), gradient->second, agreed});
    }
  }

  // Bytes and type of the tensors behind a value, from the facts alone.
  std::pair<std::int64_t, ElementType> size_of_value(int rank, const Value& value) {
    if (value.block < 0 || value.block >= std::ssize(blocks_)) return {-1, {}};
    const BlockFacts& block = blocks_[value.block];
    if (value.kind == ValueKind::activation || value.kind == ValueKind::activation_gradient) {
      const ActivationFacts& x = block.outputs.front();
      return {x.bytes_per_sample() * programs_[rank].micro_batch_samples, x.type};
    }
    const auto& tensors = value.kind == ValueKind::buffer ? block.buffers : block.parameters;
    if (value.index < 0 || value.index >= std::ssize(tensors)) return {-1, {}};
    return {tensors[value.index].bytes(), tensors[value.index].type};
  }

  void send(int rank, const Op& op) {
    if (op.reads.size() != 1) return fail(rank, "sends other than one value");
    const auto [bytes, type] = size_of_value(rank, op.reads.front().value);
    if (bytes != op.bytes || type != op.type) fail(rank, "sends another size");
    wires_[{rank, op.peer}].push_back({get(rank, op.reads.front().value), op.bytes, op.type});
  }

  bool receive(int rank, const Op& op) {
    auto& wire = wires_[{op.peer, rank}];
    if (wire.empty()) return false;
    const Message message = wire.front();
    wire.pop_front();
    if (message.bytes != op.bytes || message.type != op.type) fail(rank, "receives another size");
    for (const Use& use : op.writes) ranks_[rank].values[use.value] = message.term;
    return true;
  }

  // Waits until every member is at a collective of the group, then does it for all of them.
  bool meet(int rank, const Op& op) {
    if (op.group < 0 || op.group >= std::ssize(programs_[rank].groups)) {
      fail(rank, "there is no such group");
      return false;
    }
    const GroupFacts& group = programs_[rank].groups[op.group];
    for (const int member : group.ranks) {
      const int next = ranks_[member].next;
      if (next >= std::ssize(programs_[member].ops)) return false;
      const Op& other = programs_[member].ops[next];
      if (!is_collective(other) || other.group < 0 ||
          other.group >= std::ssize(programs_[member].groups) ||
          programs_[member].groups[other.group] != group) {
        return false;
      }
      if (other.kind != op.kind || other.bytes != op.bytes || other.type != op.type ||
          other.accumulates.size() != op.accumulates.size()) {
        fail(member, "meets a different call");
        return false;
      }
    }
    if (op.kind == OpKind::agree) {
      agree(group);
    } else if (op.kind == OpKind::all_reduce) {
      all_reduce(group);
    } else {
      run_blocks(group);
    }
    for (const int member : group.ranks) finish(member);
    return true;
  }

  const Op& present(int rank) const { return programs_[rank].ops[ranks_[rank].next]; }

  // A block that sums over the batch: what each member computes depends on what all of them read.
  void run_blocks(const GroupFacts& group) {
    const Op first = present(group.ranks.front());
    Term all = 0;
    for (const int member : group.ranks) {
      const Op& op = present(member);
      if (op.block != first.block || op.micro_batch != first.micro_batch || op.mode != first.mode) {
        fail(member, "meets another block");
      }
      if (op.bytes != sum_bytes(op) || op.type != ElementType::float64) {
        fail(member, "sums another size");
      }
      if (group.name != expected_sum_group(member)) fail(member, "sums over another group");
      all += term({37, reads_of(member, op, op.kind == OpKind::backward)});
    }
    for (const int member : group.ranks) {
      summed_ = all;
      compute(member, present(member));
    }
    summed_ = 0;
  }

  std::int64_t sum_bytes(const Op& op) const {
    if (op.block < 0 || op.block >= std::ssize(blocks_)) return -1;
    const BlockFacts& block = blocks_[op.block];
    std::int64_t bytes = 0;
    for (const auto& sum : op.kind == OpKind::forward ? block.forward_sums : block.backward_sums) {
      bytes += 8 * sum.elements;
    }
    return bytes == 0 ? -1 : bytes;
  }

  std::string expected_sum_group(int rank) const {
    std::vector<std::string> axes;
    for (const auto& [axis, size] : plan_.mesh.axes()) {
      if (axis != "pipe") axes.push_back(axis);
    }
    return plan_.mesh.group_name(axes, rank) + " in blocks";
  }

  // Whether the block of a forward or backward has to meet others, and does not.
  bool forgets_to_meet(const Op& op) const {
    if (op.group != -1 || op.mode == ForwardMode::evaluate) return false;
    bool split = false;
    for (const auto& [axis, size] : plan_.mesh.axes())
      split = split || (axis != "pipe" && size > 1);
    return split && sum_bytes(op) > 0;
  }

  void agree(const GroupFacts& group) {
    Term sum = 0;
    for (const int member : group.ranks) {
      if (present(member).bytes != 64) fail(member, "agrees in another size");
      if (present(member).type != ElementType::float64) fail(member, "agrees in another type");
      sum += term({31, reads_of(member, present(member), true)});
    }
    for (const int member : group.ranks) {
      for (const Use& use : present(member).writes) ranks_[member].values[use.value] = sum;
    }
  }

  void all_reduce(const GroupFacts& group) {
    const std::size_t count = present(group.ranks.front()).accumulates.size();
    for (std::size_t i = 0; i < count; ++i) {
      Term sum = 0;
      for (const int member : group.ranks) {
        sum += get(member, present(member).accumulates[i].value);
      }
      for (const int member : group.ranks) {
        ranks_[member].values[present(member).accumulates[i].value] = sum;
      }
    }
    for (const int member : group.ranks) {
      std::int64_t bytes = 0;
      for (const Use& use : present(member).accumulates) {
        const auto [size, type] = size_of_value(member, use.value);
        bytes += size;
        if (type != present(member).type) fail(member, "reduces another type");
      }
      if (bytes != present(member).bytes) fail(member, "reduces another size");
    }
  }

  std::map<Value, Term> results_of(int rank) const {
    std::map<Value, Term> results;
    const int last = static_cast<int>(blocks_.size()) - 1;
    for (const auto& [value, found] : ranks_[rank].values) {
      const bool result = is_carried(value.kind) || value.kind == ValueKind::loss ||
                          value.kind == ValueKind::agreed ||
                          (!programs_[rank].trains && value.kind == ValueKind::activation &&
                           value.block == last && found.has_value());
      if (result) results[value] = found.value_or(0);
    }
    return results;
  }

  const RankPrograms& programs_;
  const std::vector<BlockFacts>& blocks_;
  const Plan& plan_;
  std::vector<Rank> ranks_;
  Term summed_ = 0;  // what the block that runs has from the other members of its group
  std::map<std::pair<int, int>, std::deque<Message>> wires_;
  std::string error_;
};

inline Meaning meaning_of(const RankPrograms& programs, const std::vector<BlockFacts>& blocks,
                          const Plan& plan) {
  return Interpreter(programs, blocks, plan).run();
}

}  // namespace shoal::testing_meaning
