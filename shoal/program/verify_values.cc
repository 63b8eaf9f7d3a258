// Part 2 of the verifier: the values of one rank, in the order of its list.
#include <fmt/format.h>

#include <unordered_map>

#include "shoal/program/verify_parts.h"

namespace shoal {
namespace {

struct State {
  int version = 0;
  int writer = -1;  // operation that wrote it last
  int freed_by = -1;
  bool live = false;
  // Of what is summed over micro-batches: gradients, buffers, the loss.
  std::vector<bool> added;  // by micro-batch
  int additions = 0;
  int reduced_by = -1;
};

class ValueCheck {
 public:
  ValueCheck(const Program& program, const VerifyContext& context)
      : program_(program), context_(context), own_(context.own(program.stage)) {}

  std::vector<std::string> faults() {
    for (at_ = 0; at_ < std::ssize(program_.ops); ++at_) {
      const Op& op = program_.ops[at_];
      for (const Use& use : op.reads) read(op, use);
      for (const Use& use : op.accumulates) accumulate(op, use);
      for (const Use& use : op.writes) write(use);
      for (const Value& value : op.frees) free(value);
      if (op.kind == OpKind::load) loaded_ = true;
      if (op.kind == OpKind::update) update();
      // Also where no operation reads the batch: a block asks for its samples' ids.
      if (op.kind == OpKind::forward && !loaded_) fault("runs before the Load");
    }
    check_end();
    return std::move(faults_);
  }

 private:
  std::string text(const Value& value) const { return text_of(value, program_.micro_batches); }
  void fault(std::string what) {
    faults_.push_back(place_of(program_, at_) + ": " + std::move(what));
  }
  std::string place(int op) const {
    return fmt::format("operation {} ({})", op, text_of(program_.ops[op], program_.micro_batches));
  }

  void check_version(const Use& use, const State& state) {
    if (use.version == state.version) return;
    fault(fmt::format("expects {} in version {}, but finds version {}", text(use.value),
                      use.version, state.version));
  }

  void check_live(const Value& value, const State& state, std::string_view does) {
    if (state.live || is_carried(value.kind)) return;
    if (state.freed_by >= 0) {
      fault(fmt::format("{} {}, which {} has freed", does, text(value), place(state.freed_by)));
    } else {
      fault(fmt::format("{} {}, which nothing has written", does, text(value)));
    }
  }

  void read(const Op& op, const Use& use) {
    const State& state = states_[use.value];
    check_live(use.value, state, "reads");
    check_version(use, state);
    if (use.value.kind == ValueKind::parameter && update_ >= 0) {
      fault(fmt::format("reads {} after {} has changed it", text(use.value), place(update_)));
    }
    const bool ends_step = op.kind == OpKind::agree || op.kind == OpKind::update;
    if (!ends_step || use.value.kind == ValueKind::agreed) return;
    check_complete(use.value, state, "reads");
    if (needs_reduction(use.value) && state.reduced_by < 0) {
      fault(fmt::format("reads {} before it is summed over its group", text(use.value)));
    }
  }

  void check_complete(const Value& value, const State& state, std::string_view does) {
    if (state.additions != context_.micro_batches) {
      fault(fmt::format("{} {}, which has {} of {} micro-batches' parts", does, text(value),
                        state.additions, context_.micro_batches));
    }
  }

  bool needs_reduction(const Value& value) const {
    if (value.kind == ValueKind::gradient) {
      return !context_.gradient_axes[value.block][value.index].empty();
    }
    if (value.kind != ValueKind::buffer) return false;
    return is_averaged(context_.blocks[value.block].buffers[value.index]) &&
           !context_.buffer_axes[value.block][value.index].empty();
  }

  void accumulate(const Op& op, const Use& use) {
    State& state = states_[use.value];
    check_version(use, state);
    if (state.freed_by >= 0) check_live(use.value, state, "adds to");
    if (op.kind == OpKind::all_reduce) {
      reduce(use.value, state);
    } else if (op.kind != OpKind::update) {
      add_part(op, use.value, state);
    }
    written(state);
  }

  void reduce(const Value& value, State& state) {
    check_complete(value, state, "reduces");
    if (state.reduced_by >= 0) {
      fault(
          fmt::format("reduces {} a second time, after {}", text(value), place(state.reduced_by)));
    }
    state.reduced_by = at_;
  }

  void add_part(const Op& op, const Value& value, State& state) {
    if (state.reduced_by >= 0) {
      fault(fmt::format("adds to {} after {} has summed it over its group", text(value),
                        place(state.reduced_by)));
    }
    state.added.resize(context_.micro_batches);
    if (state.added[op.micro_batch]) {
      fault(fmt::format("adds micro-batch {} to {} a second time", op.micro_batch, text(value)));
      return;
    }
    state.added[op.micro_batch] = true;
    ++state.additions;
  }

  void write(const Use& use) {
    State& state = states_[use.value];
    check_version(use, state);
    if (state.live) {
      fault(fmt::format("writes {}, which still holds what {} wrote", text(use.value),
                        place(state.writer)));
    }
    written(state);
  }

  void written(State& state) {
    ++state.version;
    state.writer = at_;
    state.live = true;
    state.freed_by = -1;
  }

  void free(const Value& value) {
    State& state = states_[value];
    if (outlives_run(value.kind)) {
      fault(fmt::format("frees {}, which outlives the run", text(value)));
      return;
    }
    check_live(value, state, "frees");
    state.live = false;
    state.freed_by = at_;
  }

  void update() {
    if (update_ >= 0) fault(fmt::format("updates a second time, after {}", place(update_)));
    update_ = at_;
  }

  void missing(std::string what) {
    faults_.push_back(fmt::format("rank {}: at the end of the list, {}", program_.rank, what));
  }

  void check_end() {
    if (context_.kind == ProgramKind::train) check_end_of_training();
    if (!own_.holds(context_.last_block())) return;
    if (context_.kind == ProgramKind::predict) {
      for (int m = 0; m < context_.micro_batches; ++m) {
        const Value result{ValueKind::activation, context_.last_block(), m, -1};
        if (!states_[result].live) missing(fmt::format("the result {} is missing", text(result)));
      }
      return;
    }
    const int additions = states_[{ValueKind::loss, -1, -1, -1}].additions;
    if (additions != context_.micro_batches) {
      missing(
          fmt::format("the loss has {} of {} micro-batches", additions, context_.micro_batches));
    }
  }

  void check_end_of_training() {
    if (!states_[{ValueKind::agreed, -1, -1, -1}].live) missing("the Agree is missing");
    if (update_ < 0) missing("the Update is missing");
    for (int block = own_.first; block < own_.end; ++block) {
      for (int i = 0; i < std::ssize(context_.blocks[block].buffers); ++i) {
        const Value buffer{ValueKind::buffer, block, -1, i};
        const State& state = states_[buffer];
        if (state.additions != context_.micro_batches) {
          missing(fmt::format("{} has {} of {} micro-batches", text(buffer), state.additions,
                              context_.micro_batches));
        } else if (needs_reduction(buffer) && state.reduced_by < 0) {
          missing(fmt::format("{} is not averaged over its group", text(buffer)));
        }
      }
    }
  }

  const Program& program_;
  const VerifyContext& context_;
  const BlockRange own_;
  std::unordered_map<Value, State, ValueHash> states_;
  int at_ = 0;  // the operation looked at
  bool loaded_ = false;
  int update_ = -1;  // the operation that updated
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> value_faults(const Program& program, const VerifyContext& context) {
  return ValueCheck(program, context).faults();
}

}  // namespace shoal
