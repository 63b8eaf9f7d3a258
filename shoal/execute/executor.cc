#include "shoal/execute/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "shoal/comm/across_ranks.h"
#include "shoal/core/check.h"
#include "shoal/core/digest.h"
#include "shoal/core/error.h"
#include "shoal/execute/program_runner.h"

namespace shoal {
namespace {

Deadline join_deadline(const World& world) {
  return Deadline::after_seconds(world.options().join_seconds);
}

bool moves_activations_forward(const Op& op) {
  const bool moves = op.kind == OpKind::send || op.kind == OpKind::receive;
  if (!moves) return false;
  const auto& uses = op.kind == OpKind::send ? op.reads : op.writes;
  return uses.at(0).value.kind == ValueKind::activation;
}

}  // namespace

class Executor::Impl {
 public:
  Impl(World& world, const Programs& programs, RankModel& model, const Chain& chain,
       ExecutorOptions options)
      : world_(world),
        programs_(programs),
        model_(model),
        chain_(chain),
        options_(std::move(options)) {
    form_groups();
    require_equal_programs();
    require_own_autograd();
    for (const auto& [name, by_rank] : programs_.named) {
      runners_[name] = make_runner(by_rank.at(static_cast<std::size_t>(world_.rank())));
    }
  }

  ProgramRunner& runner(const std::string& name) {
    const auto found = runners_.find(name);
    check(found != runners_.end(), "the plan compiles no program '" + name + "'");
    return *found->second;
  }

  // Ends a run whatever happens: its tensors go, its lanes stop.
  template <typename Result, typename Body>
  Result within_run(ProgramRunner& runner, Body body) {
    struct End {
      ProgramRunner& of;
      ~End() { of.end(); }
    } end{runner};
    return body();
  }

  Agreement run(const std::string& name, const RunInput& input) {
    ProgramRunner& programs_runner = runner(name);
    return within_run<Agreement>(programs_runner, [&] {
      programs_runner.run(input, shares_);
      StepValues& values = programs_runner.values();
      if (name == "train") return values.agreed;
      Agreement own;
      own.loss_sum = values.loss_sum;
      own.weight = values.weight;
      own.correct = values.correct;
      own.samples = values.samples;
      return own;
    });
  }

  at::Tensor predict(const RunInput& input) {
    ProgramRunner& programs_runner = runner("predict");
    return within_run<at::Tensor>(programs_runner, [&] {
      programs_runner.run(input, shares_);
      const Value output{ValueKind::activation, static_cast<int>(programs_.blocks.size()) - 1, 0};
      StepValues& values = programs_runner.values();
      const Program& program = programs_.named.at("predict").at(world_.rank());
      const bool has_output = !program.blocks().empty() && program.blocks().back() == output.block;
      return has_output ? values.activation(output).only().cpu() : at::Tensor();
    });
  }

  int first_not_finite(const RunInput& input) {
    ProgramRunner& train = runner("train");
    train.ops().looks_for_not_finite = true;
    auto first = within_run<double>(train, [&] {
      // The same random numbers as in the step, and statistics are not touched again.
      train.run_part(input, [](const Op& op) {
        return op.kind == OpKind::load ||
               (op.kind == OpKind::forward && op.mode != ForwardMode::recompute) ||
               moves_activations_forward(op);
      });
      return static_cast<double>(train.ops().first_not_finite);
    });
    train.ops().looks_for_not_finite = false;
    const Buffer all = buffer(std::span(&first, 1));
    world_group_->all_reduce(std::span(&all, 1), ReduceOp::min, join_deadline(world_));
    return static_cast<int>(first);
  }

  std::string block_name(int index) const {
    if (index < 0) return "input";
    if (index < static_cast<int>(programs_.blocks.size())) return programs_.blocks[index].name;
    return "loss";
  }

  std::uint64_t bytes_sent() const {
    std::uint64_t sum = world_group_->bytes_sent();
    if (point_to_point_) sum += point_to_point_->bytes_sent();
    for (const auto& [name, group] : groups_) sum += group->bytes_sent();
    return sum;
  }

  Group& world_group() { return *world_group_; }
  TimeShares shares() const { return shares_; }

 private:
  // Every rank forms its groups in the same order, that of their names: nobody waits in a circle.
  void form_groups() {
    std::map<std::string, std::vector<int>> all;
    bool sends = false;
    for (const auto& [name, by_rank] : programs_.named) {
      for (const Program& program : by_rank) {
        for (const GroupFacts& group : program.groups) all[group.name] = group.ranks;
        for (const Op& op : program.ops) sends = sends || op.kind == OpKind::send;
      }
    }
    std::vector<int> everybody;
    for (int rank = 0; rank < world_.size(); ++rank) everybody.push_back(rank);
    world_group_ = world_.form_group("all", everybody, join_deadline(world_));
    if (sends) {
      point_to_point_ = world_.form_group("stages", everybody, join_deadline(world_));
    }
    for (const auto& [name, ranks] : all) {
      const bool ours = std::find(ranks.begin(), ranks.end(), world_.rank()) != ranks.end();
      if (ours) groups_[name] = world_.form_group(name, ranks, join_deadline(world_));
    }
  }

  void require_equal_programs() {
    const auto rank =
        rank_that_differs(*world_group_, name_hash(programs_.digest()), join_deadline(world_));
    if (!rank) return;
    throw InvalidInput(fmt::format(
        "rank {} has another job, plan or build than rank 0: start all workers with the same "
        "command, job file and version",
        *rank));
  }

  // Away from the CPU backwards run on one thread a device of the process: ranks that wait for each
  // other within a backward need processes of their own.
  void require_own_autograd() const {
    if (model_.options().device.is_cpu()) return;
    for (const auto& [name, by_rank] : programs_.named) {
      const Program& own = by_rank.at(static_cast<std::size_t>(world_.rank()));
      for (const Op& op : own.ops) {
        if (op.kind != OpKind::backward || !meets_others(op)) continue;
        const Group& group = *groups_.at(own.groups.at(static_cast<std::size_t>(op.group)).name);
        if (group.size() == 1 || group.engine() != "memory") continue;
        throw InvalidInput(fmt::format(
            "block {} sums over the batch (batch_norm global), which workers that are threads of "
            "one process cannot do on a device: start processes (--mode processes)",
            programs_.blocks.at(static_cast<std::size_t>(op.block)).name));
      }
    }
  }

  bool has_thread(const Program& program, const Lane& lane) const {
    switch (lane.kind) {
      case Lane::Kind::compute:
      case Lane::Kind::receive:  // waited for where its value is needed
        return false;
      case Lane::Kind::send:  // a send never blocks the others
        return true;
      case Lane::Kind::group:
        break;
    }
    const std::string& name = program.groups.at(static_cast<std::size_t>(lane.index)).name;
    if (groups_.at(name)->size() == 1) return false;
    switch (options_.lanes) {
      case LanePolicy::threads:
        return true;
      case LanePolicy::in_line:
        return false;
      case LanePolicy::automatic:
        break;
    }
    return options_.has_spare_core || groups_.at(name)->engine() == "tcp" ||
           !model_.options().device.is_cpu();
  }

  std::unique_ptr<ProgramRunner> make_runner(const Program& program) {
    const OpRunner::Parts parts{
        .model = model_,
        .chain = chain_,
        .programs = programs_,
        .program = program,
        .autocast = options_.autocast,
        .loss = program.trains ? options_.loss : LossForm{.huber_delta = options_.loss.huber_delta},
        .group = [this, &program](int index) -> Group& {
          return *groups_.at(program.groups.at(index).name);
        },
        .point_to_point = point_to_point_.get(),
        .comm = world_.options()};
    return std::make_unique<ProgramRunner>(
        parts,
        ProgramRunner::Options{
            .has_thread = [this, &program](const Lane& lane) { return has_thread(program, lane); },
            .abort_groups = [this] { abort_groups(); },
            .account = options_.account,
            .trace = options_.trace});
  }

  void abort_groups() {
    for (const auto& [name, group] : groups_) group->abort();
    if (point_to_point_) point_to_point_->abort();
    world_group_->abort();
  }

  World& world_;
  const Programs& programs_;
  RankModel& model_;
  const Chain& chain_;
  ExecutorOptions options_;
  std::unique_ptr<Group> world_group_;
  std::unique_ptr<Group> point_to_point_;
  std::map<std::string, std::unique_ptr<Group>> groups_;
  TimeShares shares_;
  std::map<std::string, std::unique_ptr<ProgramRunner>> runners_;  // last: they use the groups
};

Executor::Executor(World& world, const Programs& programs, RankModel& model, const Chain& chain,
                   ExecutorOptions options)
    : impl_(std::make_unique<Impl>(world, programs, model, chain, std::move(options))) {}
Executor::~Executor() = default;

Agreement Executor::train(const RunInput& input) { return impl_->run("train", input); }
Agreement Executor::evaluate(const RunInput& input) { return impl_->run("evaluate", input); }
at::Tensor Executor::predict(const RunInput& input) { return impl_->predict(input); }
std::string Executor::first_not_finite(const RunInput& of_step) {
  return impl_->block_name(impl_->first_not_finite(of_step));
}
Group& Executor::world_group() { return impl_->world_group(); }
TimeShares Executor::shares() const { return impl_->shares(); }
std::uint64_t Executor::bytes_sent() const { return impl_->bytes_sent(); }

}  // namespace shoal
