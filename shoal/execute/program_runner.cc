#include "shoal/execute/program_runner.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <optional>

#include "shoal/core/check.h"

namespace shoal {
namespace {

// Which of a worker's six steps an operation belongs to.
const char* category_of(OpKind kind) {
  switch (kind) {
    case OpKind::load:
      return "load";
    case OpKind::forward:
    case OpKind::loss:
    case OpKind::backward:
      return "train";
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::agree:
      return "synchronize";
    case OpKind::update:
      return "update";
  }
  return "?";
}

double& share_of(OpKind kind, TimeShares& shares) {
  switch (kind) {
    case OpKind::load:
      return shares.data;
    case OpKind::forward:
    case OpKind::loss:
    case OpKind::backward:
    case OpKind::update:
      return shares.compute;
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::agree:
      return shares.communication;
  }
  return shares.total;
}

struct MarkGradient final : torch::autograd::PostAccumulateGradHook {
  explicit MarkGradient(std::function<void()> mark_it) : mark(std::move(mark_it)) {}
  void operator()(const torch::autograd::Variable&) override { mark(); }
  std::function<void()> mark;
};

}  // namespace

ProgramRunner::ProgramRunner(const OpRunner::Parts& parts, Options options)
    : program_(parts.program),
      options_(std::move(options)),
      ops_(parts),
      device_(parts.model.options().device) {
  find_lanes();
  find_waits();
  hooks_->progress = progress_.get();
  hooks_->device = device_;
  for (const auto& [gradient, event] : event_of_) {
    at::Tensor parameter = parts.model.parameter(gradient);
    const std::size_t last = last_backward_.at(gradient);
    torch::autograd::impl::set_post_acc_grad_hooks(
        parameter, std::make_unique<MarkGradient>([hooks = hooks_, event = event, last] {
          if (hooks->running_op == last) hooks->mark(event);
        }));
    hooked_.push_back(parameter);
  }
  if (!lanes_.empty()) {
    threads_ = std::make_unique<LaneThreads>(lane_names_, [this](std::size_t i) { run_lane(i); });
  }
}

ProgramRunner::~ProgramRunner() {
  for (const at::Tensor& parameter : hooked_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }
}

void ProgramRunner::find_lanes() {
  std::map<Lane, int> thread_of_lane;
  thread_of_.assign(program_.ops.size(), -1);
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    const Lane lane = lane_of(program_.ops[i]);
    if (lane.kind == Lane::Kind::compute || !options_.has_thread(lane)) continue;
    const auto [found, is_new] =
        thread_of_lane.emplace(lane, static_cast<int>(thread_of_lane.size()));
    if (is_new) {
      lanes_.emplace_back();
      lane_names_.push_back(lane_name(lane, program_));
      streams_.push_back(device_.new_stream());
    }
    thread_of_[i] = found->second;
    lanes_[static_cast<std::size_t>(found->second)].push_back(i);
  }
}

// Operations of one thread follow each other anyway; only what another thread does is waited for.
// A collective with a thread of its own waits for its gradients, not for the Backward that
// completes them: it starts in the middle of it.
void ProgramRunner::find_waits() {
  std::size_t events = program_.ops.size();
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    for (const Use& use : program_.ops[i].accumulates) {
      if (program_.ops[i].kind == OpKind::backward) last_backward_[use.value] = i;
      if (program_.ops[i].kind == OpKind::all_reduce && thread_of_[i] >= 0 &&
          use.value.kind == ValueKind::gradient) {
        event_of_[use.value] = events++;
      }
    }
  }
  const auto needed = dependencies(program_);
  waits_.resize(program_.ops.size());
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    for (const int before : needed[i]) {
      const auto earlier = static_cast<std::size_t>(before);
      if (thread_of_[earlier] == thread_of_[i]) continue;
      if (program_.ops[i].kind == OpKind::all_reduce &&
          program_.ops[earlier].kind == OpKind::backward) {
        continue;
      }
      waits_[i].push_back(earlier);
    }
    if (program_.ops[i].kind != OpKind::all_reduce) continue;
    for (const Use& use : program_.ops[i].accumulates) {
      if (const auto event = event_of_.find(use.value); event != event_of_.end()) {
        waits_[i].push_back(event->second);
      }
    }
  }
  progress_ = std::make_unique<OpProgress>(events);
  if (!device_.is_cpu()) hooks_->moments.resize(events);
}

void ProgramRunner::record(std::size_t op, std::int64_t start_ns, std::int64_t end_ns) {
  const Op& ran = program_.ops[op];
  const int thread = thread_of_[op];
  options_.trace->add(
      {.name = text_of(ran, program_.micro_batches),
       .category = category_of(ran.kind),
       .lane = thread < 0 ? "compute" : lane_names_[static_cast<std::size_t>(thread)],
       .step = step_,
       .op = static_cast<int>(op),
       .start_ns = start_ns,
       .end_ns = end_ns});
}

// False when the run has failed. `shares` is the compute thread's.
bool ProgramRunner::run_op(std::size_t index, TimeShares* shares) {
  const Op& op = program_.ops[index];
  const std::int64_t before_wait = shares ? steady_ns() : 0;
  for (const std::size_t event : waits_[index]) {
    if (!progress_->wait(event)) return false;
    if (!hooks_->moments.empty()) hooks_->moments[event].wait(device_);
  }
  if (progress_->failed()) return false;
  const std::int64_t start = steady_ns();
  try {
    if (op.kind == OpKind::backward) hooks_->running_op = index;
    ops_.run(op);
    // Without this a trace would show when kernels were handed over.
    if (options_.trace) device_.finish();
  } catch (...) {
    progress_->fail(std::current_exception());
    options_.abort_groups();
    return false;
  }
  const std::int64_t end = steady_ns();
  if (op.kind == OpKind::backward) {
    // Parameters that this step did not use have had no hook called.
    for (const Use& use : op.accumulates) {
      const auto event = event_of_.find(use.value);
      if (event != event_of_.end() && last_backward_.at(use.value) == index) {
        hooks_->mark(event->second);
      }
    }
  }
  shares ? hooks_->mark(index) : progress_->mark(index);
  if (options_.trace) record(index, start, end);
  if (shares) {
    shares->communication += static_cast<double>(start - before_wait) * 1e-9;
    share_of(op.kind, *shares) += static_cast<double>(end - start) * 1e-9;
  }
  return true;
}

// Before the compute thread waits for others it waits for its device: that is compute, no wait.
void ProgramRunner::finish_compute(TimeShares& shares) {
  if (device_.is_cpu()) return;
  const std::int64_t start = steady_ns();
  device_.finish();
  shares.compute += static_cast<double>(steady_ns() - start) * 1e-9;
}

void ProgramRunner::run_lane(std::size_t lane) {
  std::optional<MemoryAccountScope> scope;
  if (options_.account) scope.emplace(options_.account);
  const StreamScope stream(streams_[lane]);
  for (const std::size_t op : lanes_[lane]) {
    if (!run_op(op, nullptr)) return;
  }
}

void ProgramRunner::run(const RunInput& input, TimeShares& shares) {
  const std::int64_t start = steady_ns();
  std::optional<MemoryAccountScope> scope;
  if (options_.account) scope.emplace(options_.account);
  step_ = input.step;
  progress_->start_run();
  ops_.begin(input);
  if (threads_) threads_->start();
  for (std::size_t i = 0; i < program_.ops.size(); ++i) {
    if (thread_of_[i] >= 0) continue;
    if (!waits_[i].empty()) finish_compute(shares);
    if (!run_op(i, &shares)) break;
  }
  finish_compute(shares);
  const std::int64_t before_lanes = steady_ns();
  if (threads_) threads_->finish();
  const std::int64_t end = steady_ns();
  shares.communication += static_cast<double>(end - before_lanes) * 1e-9;
  shares.total += static_cast<double>(end - start) * 1e-9;
  if (progress_->failed()) std::rethrow_exception(progress_->failure());
}

void ProgramRunner::run_part(const RunInput& input, const std::function<bool(const Op&)>& keep) {
  step_ = input.step;
  ops_.begin(input);
  for (const Op& op : program_.ops) {
    if (keep(op)) ops_.run(op);
  }
}

}  // namespace shoal
