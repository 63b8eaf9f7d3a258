// Runs one program of a rank: its lanes, their waits, and the record of what ran when.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "shoal/execute/executor.h"
#include "shoal/execute/lane_threads.h"
#include "shoal/execute/op_progress.h"
#include "shoal/execute/op_runner.h"

namespace shoal {

class ProgramRunner {
 public:
  struct Options {
    std::function<bool(const Lane&)> has_thread;  // else the lane runs on the compute thread
    std::function<void()> abort_groups;           // ends the waits of all lanes after a failure
    std::shared_ptr<MemoryAccount> account;
    std::shared_ptr<Trace> trace;
  };

  ProgramRunner(const OpRunner::Parts& parts, Options options);
  ~ProgramRunner();

  // One run. Afterwards values() holds what the program left (agreed, loss sums, activations that
  // were not freed) until end().
  void run(const RunInput& input, TimeShares& shares);
  // Runs only the operations that `keep` takes, all on the calling thread; the others count as
  // done.
  void run_part(const RunInput& input, const std::function<bool(const Op&)>& keep);
  StepValues& values() { return ops_.values(); }
  OpRunner& ops() { return ops_; }
  void end() { ops_.end(); }

 private:
  void find_lanes();
  void find_waits();
  void run_lane(std::size_t lane);
  bool run_op(std::size_t op, TimeShares* shares);
  void finish_compute(TimeShares& shares);
  void record(std::size_t op, std::int64_t start_ns, std::int64_t end_ns);

  // Shared with hooks, which parameters own. Backward calls them on the compute thread, or on one
  // of LibTorch's for another device.
  struct HookState {
    OpProgress* progress = nullptr;
    std::size_t running_op = 0;  // set before backward and read within it
    // By event: when its value is there for other streams, once it is marked. Empty on the CPU.
    std::vector<StreamMoment> moments;
    ComputeDevice device;

    // What the calling thread's stream has been given so far makes the value of `event`.
    // Communication is marked without a moment: it is over when its call returns.
    void mark(std::size_t event) {
      if (!moments.empty()) moments[event].record(device);
      progress->mark(event);
    }
  };

  const Program& program_;
  Options options_;
  OpRunner ops_;
  std::vector<int> thread_of_;                   // by operation; -1: compute thread
  std::vector<std::vector<std::size_t>> lanes_;  // operations of each lane that has a thread
  std::vector<std::string> lane_names_;
  std::map<Value, std::size_t> last_backward_;   // gradient -> operation that completes it
  std::map<Value, std::size_t> event_of_;        // gradients that are published inside a Backward
  std::vector<std::vector<std::size_t>> waits_;  // by operation: events that must be marked first
  const ComputeDevice device_;
  std::vector<std::optional<c10::Stream>> streams_;  // of lanes that have a thread
  std::unique_ptr<OpProgress> progress_;
  std::shared_ptr<HookState> hooks_ = std::make_shared<HookState>();
  std::vector<at::Tensor> hooked_;
  std::int64_t step_ = 0;
  std::unique_ptr<LaneThreads> threads_;  // last: its threads use all of the above
};

}  // namespace shoal
