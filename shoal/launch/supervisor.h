// Watches over the started processes of one launcher until all have ended: merges their outputs,
// passes a stop on, and stops the others when one fails.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shoal/core/stop_request.h"
#include "shoal/launch/child_process.h"
#include "shoal/launch/group_guard.h"
#include "shoal/launch/merged_output.h"

namespace shoal {

// Why a job ends early.
struct Failure {
  int rank = -1;  // -1: no worker, but a launcher
  int exit_code = 1;
  std::string sentence;  // "worker 1 (pid 12) was killed by signal 9 (SIGKILL)"
  // Of a worker that has said itself why it ended.
  std::string own_words{};
  // The worker lost another: somebody else's failure is the cause.
  bool consequence = false;
};

// What the launchers of a job on several nodes tell each other. Calls may come from one thread;
// they do not block for longer than one exchange with the store.
class Neighbours {
 public:
  virtual ~Neighbours() = default;
  virtual void tell_failure(const Failure& failure) = 0;
  virtual void tell_stop(int signal_number) = 0;
  // The first failure of the job, this node's included, or the loss of a launcher; a cause comes
  // before consequences. Nothing while all is well.
  virtual std::optional<Failure> failure() = 0;
  virtual int stop_signal() = 0;  // that another launcher was asked to stop with; 0 for none
  // Whether somebody still needs this launcher after its own workers have ended.
  virtual bool is_needed() = 0;
};

struct SupervisorOptions {
  // After the first failure the others may end by themselves, with messages of their own, for this
  // long; then they get SIGTERM, and after the same time again SIGKILL.
  std::chrono::milliseconds grace{5000};
  // After Ctrl-C or SIGTERM: time for a last step and a checkpoint.
  std::chrono::milliseconds stop{300000};
  // Lines "stop SIGNAL" from here ask to stop, its end ends the workers; -1 for none.
  int control_fd = -1;
};

struct SupervisedCommand {
  int rank = 0;
  std::string name;   // "worker 3", "the launcher on host b"
  std::string where;  // " on node 1", when there are several
  ChildCommand command;
  // Its standard input takes "stop SIGNAL" lines and its end: a launcher reached over ssh.
  bool is_launcher = false;
};

class Supervisor {
 public:
  // Borrows everything. `lost` is called for every worker that ends otherwise than with code 0 or
  // after a stop.
  Supervisor(SupervisorOptions options, MergedOutput& output, const StopRequest& stop,
             Neighbours* neighbours, std::function<void(const Failure&)> lost);
  ~Supervisor();  // kills what is left

  // Throws InvalidInput when the program cannot be executed; what was started is killed by the
  // destructor.
  void start(const SupervisedCommand& command);
  // Writes to the standard input of all launchers started.
  void write_to_launchers(const std::string& line);

  // Returns when every process has ended and nothing of their groups is left: 0, 128 + signal after
  // a stop, otherwise the first failure's code (3 for a worker killed by a signal); also after a
  // stop, when the worker has explained its failure. A worker that exits with code 3 has lost
  // another: its code and its error lines give way to those of the worker, here or on another node,
  // that fails for a reason of its own.
  // Blocks; the limits are those of the options. Call once, from the thread that called start.
  int run();

 private:
  using Clock = MergedOutput::Clock;
  enum class Phase { running, stopping, grace, terminating, killing };
  struct Watched {
    SupervisedCommand facts;
    ChildProcess process;
    std::optional<Ending> ending;
  };

  bool anybody_runs() const;
  bool is_needed();
  void wait_for_events();
  bool read_some(Watched& watched, Stream stream);
  void drain(Watched& watched);
  void read_control();
  void notice_endings();
  void judge(const Watched& watched, const Failure& failure);
  std::optional<Failure> failure_of(const Watched& watched) const;
  void notice_stop();
  void notice_neighbours();
  void forward_stop(int signal_number);
  void say_failure(const Watched& watched, const Failure& failure);
  bool supersedes(const Failure& failure) const;
  void note_cause(const Failure& failure);
  void fail(const Failure& failure);
  void enter(Phase phase, std::chrono::milliseconds limit);
  void advance_phase();
  void signal_all(int signal_number);
  std::string who_runs() const;
  void finish();
  int exit_code() const;

  SupervisorOptions options_;
  MergedOutput& output_;
  const StopRequest& stop_;
  Neighbours* neighbours_;
  std::function<void(const Failure&)> lost_;
  GroupGuard guard_;
  std::vector<Watched> children_;
  Phase phase_ = Phase::running;
  std::optional<Clock::time_point> phase_ends_;
  std::optional<Failure> failure_;
  int stop_signal_ = 0;         // forwarded to the workers
  bool stopped_first_ = false;  // before anything failed: what fails then follows from it
  bool control_ended_ = false;
  std::string control_line_;
};

}  // namespace shoal
