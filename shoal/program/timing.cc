#include "shoal/program/timing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <map>

#include "shoal/core/error.h"
#include "shoal/program/processor_sharing.h"

namespace shoal {
namespace {

struct Task {
  int rank = 0;
  int op = 0;
  int missing = 0;  // operations that must end before this one starts
  std::vector<int> successors;
  int partner = -1;  // of a send its receive, and the other way round
  int meeting = -1;  // of a collective
  Cost cost;
  std::size_t phase = 0;
  int works = 0;  // active in this phase
  double start = -1;
  double met = -1;
  double end = -1;
  bool arrived = false;  // a receive's message
};

// One collective: it works when all members have come and ends for all at once.
struct Meeting {
  std::size_t size = 0;
  std::vector<int> members;  // tasks that have come
  std::size_t working = 0;
};

class Simulation {
 public:
  Simulation(const RankPrograms& programs, const CostModel& model)
      : programs_(programs), model_(model), sharing_(model.capacities) {
    for (const Program& program : programs_) add_tasks(program);
    match_messages();
    match_collectives();
  }

  void run() {
    for (int t = 0; t < std::ssize(tasks_); ++t) {
      if (tasks_[t].missing == 0) ready_.push_back(t);
    }
    while (true) {
      while (!ready_.empty()) {
        const int t = ready_.front();
        ready_.pop_front();
        start(t);
      }
      const auto ended = sharing_.next_end();
      if (!ended) break;
      if (--tasks_[*ended].works == 0) {
        ++tasks_[*ended].phase;
        enter_phase(*ended);
      }
    }
    refuse_unfinished();
  }

  Timeline timeline() const;

 private:
  const Op& op_of(const Task& task) const { return programs_[task.rank].ops[task.op]; }

  void add_tasks(const Program& program);
  void match_messages();
  void match_collectives();
  void start(int t);
  void begin(int t);
  void enter_phase(int t);
  void complete(int t);
  void finish(int t);
  void refuse_unfinished() const;

  const RankPrograms& programs_;
  const CostModel& model_;
  ProcessorSharing sharing_;
  std::vector<Task> tasks_;
  std::vector<Meeting> meetings_;
  std::deque<int> ready_;
};

void Simulation::add_tasks(const Program& program) {
  const int first = static_cast<int>(tasks_.size());
  const auto needs = dependencies(program);
  tasks_.resize(first + program.ops.size());
  int last_on_thread = -1;
  for (int i = 0; i < std::ssize(program.ops); ++i) {
    Task& task = tasks_[first + i];
    task.rank = static_cast<int>(&program - programs_.data());
    task.op = i;
    const auto wait_for = [&](int other) {
      tasks_[first + other].successors.push_back(first + i);
      ++task.missing;
    };
    for (const int other : needs[i]) wait_for(other);
    const auto lane = lane_of(program.ops[i]).kind;
    if (lane == Lane::Kind::compute || lane == Lane::Kind::group) {
      if (!model_.communication_thread && last_on_thread >= 0) wait_for(last_on_thread);
      last_on_thread = i;
    }
  }
}

void Simulation::match_messages() {
  std::map<std::pair<int, int>, std::deque<int>> sends;  // by (from, to)
  for (int t = 0; t < std::ssize(tasks_); ++t) {
    const Op& op = op_of(tasks_[t]);
    if (op.kind == OpKind::send) sends[{tasks_[t].rank, op.peer}].push_back(t);
  }
  for (int t = 0; t < std::ssize(tasks_); ++t) {
    const Op& op = op_of(tasks_[t]);
    if (op.kind != OpKind::receive) continue;
    auto& waiting = sends[{op.peer, tasks_[t].rank}];
    if (waiting.empty()) continue;
    tasks_[t].partner = waiting.front();
    tasks_[waiting.front()].partner = t;
    waiting.pop_front();
  }
}

void Simulation::match_collectives() {
  using Key = std::pair<std::string, std::vector<int>>;
  std::map<Key, std::vector<int>> meetings_of;         // in the group's order
  std::map<std::pair<int, int>, std::size_t> entered;  // by (rank, group index): how often
  for (Task& task : tasks_) {
    const Op& op = op_of(task);
    if (!meets_others(op)) continue;
    const auto& groups = programs_[task.rank].groups;
    if (op.group < 0 || op.group >= std::ssize(groups)) continue;
    const GroupFacts& group = groups[op.group];
    if (group.ranks.size() < 2) continue;
    const auto ordinal = entered[{task.rank, op.group}]++;
    auto& meetings = meetings_of[{group.name, group.ranks}];
    if (ordinal == meetings.size()) {
      meetings.push_back(static_cast<int>(meetings_.size()));
      meetings_.push_back({.size = group.ranks.size(), .members = {}});
    }
    task.meeting = meetings[ordinal];
  }
}

void Simulation::start(int t) {
  Task& task = tasks_[t];
  task.start = sharing_.now();
  if (op_of(task).kind == OpKind::receive) {
    if (!task.arrived) return;
    task.met = task.start;
    finish(t);
    return;
  }
  if (task.meeting < 0) {
    begin(t);
    return;
  }
  Meeting& meeting = meetings_[task.meeting];
  meeting.members.push_back(t);
  if (meeting.members.size() < meeting.size) return;
  meeting.working = meeting.members.size();
  for (const int member : meeting.members) begin(member);
}

void Simulation::begin(int t) {
  Task& task = tasks_[t];
  task.met = sharing_.now();
  task.cost = model_.cost_of(programs_[task.rank], task.op);
  enter_phase(t);
}

void Simulation::enter_phase(int t) {
  Task& task = tasks_[t];
  for (; task.phase < task.cost.size(); ++task.phase) {
    for (const Work& work : task.cost[task.phase]) {
      if (work.amount <= 0) continue;
      sharing_.add(work.resource, work.amount, t);
      ++task.works;
    }
    if (task.works > 0) return;
  }
  complete(t);
}

void Simulation::complete(int t) {
  Task& task = tasks_[t];
  if (task.meeting >= 0) {
    Meeting& meeting = meetings_[task.meeting];
    if (--meeting.working > 0) return;
    for (const int member : meeting.members) finish(member);
    return;
  }
  finish(t);
  if (op_of(task).kind != OpKind::send || task.partner < 0) return;
  Task& receive = tasks_[task.partner];
  receive.arrived = true;
  if (receive.start < 0) return;
  receive.met = std::max(receive.start, task.met);
  finish(task.partner);
}

void Simulation::finish(int t) {
  Task& task = tasks_[t];
  task.end = sharing_.now();
  for (const int successor : task.successors) {
    if (--tasks_[successor].missing == 0) ready_.push_back(successor);
  }
}

void Simulation::refuse_unfinished() const {
  constexpr std::size_t kMost = 4;
  std::vector<std::string> waiting;
  bool unfinished = false;
  for (const Task& task : tasks_) {
    unfinished = unfinished || task.end < 0;
    if (task.end >= 0 || task.start < 0 || waiting.size() == kMost) continue;
    waiting.push_back(fmt::format("rank {} in operation {} {}", task.rank, task.op,
                                  text_of(op_of(task), programs_[task.rank].micro_batches)));
  }
  if (!unfinished) return;
  throw InvalidInput(fmt::format("the programs do not finish: these wait for ever: {}; verify them",
                                 fmt::join(waiting, ", ")));
}

using Intervals = std::vector<std::pair<double, double>>;

// Seconds in `intervals` that lie in none of `others`; the others ascend and do not overlap.
double seconds_outside(Intervals intervals, const Intervals& others) {
  std::sort(intervals.begin(), intervals.end());
  double sum = 0;
  double reached = 0;  // everything before is counted
  std::size_t other = 0;
  for (auto [begin, end] : intervals) {
    begin = std::max(begin, reached);
    if (begin >= end) continue;
    reached = end;
    while (other < others.size() && others[other].second <= begin) ++other;
    sum += end - begin;
    for (std::size_t i = other; i < others.size() && others[i].first < end; ++i) {
      sum -= std::min(end, others[i].second) - std::max(begin, others[i].first);
    }
  }
  return sum;
}

Timeline Simulation::timeline() const {
  Timeline timeline;
  const auto ranks = programs_.size();
  timeline.ranks.resize(ranks);
  timeline.busy.resize(ranks);
  std::vector<Intervals> computing(ranks);
  std::vector<Intervals> communicating(ranks);
  for (const Task& task : tasks_) {
    timeline.ranks[task.rank].push_back({task.op, task.start, task.end, task.met});
    timeline.makespan = std::max(timeline.makespan, task.end);
    const Op& op = op_of(task);
    const bool computes = lane_of(op).kind == Lane::Kind::compute;
    (computes ? computing : communicating)[task.rank].emplace_back(task.met, task.end);
    if (computes && op.kind != OpKind::load) timeline.busy[task.rank] += task.end - task.start;
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    timeline.communication.push_back(seconds_outside(communicating[rank], computing[rank]));
  }
  return timeline;
}

}  // namespace

Timeline time_programs(const RankPrograms& programs, const CostModel& model) {
  Simulation simulation(programs, model);
  simulation.run();
  return simulation.timeline();
}

}  // namespace shoal
