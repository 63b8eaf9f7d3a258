#include "shoal/launch/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace shoal {
namespace {

using std::chrono::milliseconds;

constexpr int kLostWorker = 3;
constexpr int kSshFailed = 255;
// A stop is asked for in a signal handler that may run in any thread, so poll need not see it.
constexpr milliseconds kLongestWait{50};

bool ends_after_stop(const Ending& ending) {
  return ending.exit_code == 128 + SIGINT || ending.exit_code == 128 + SIGTERM;
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, MergedOutput& output, const StopRequest& stop,
                       Neighbours* neighbours, std::function<void(const Failure&)> lost)
    : options_(options),
      output_(output),
      stop_(stop),
      neighbours_(neighbours),
      lost_(std::move(lost)) {}

Supervisor::~Supervisor() { signal_all(SIGKILL); }

void Supervisor::start(const SupervisedCommand& command) {
  children_.push_back(
      Watched{.facts = command, .process = ChildProcess(command.command), .ending = {}});
  guard_.watch(children_.back().process.pid());
}

void Supervisor::write_to_launchers(const std::string& line) {
  for (Watched& watched : children_) {
    if (!watched.facts.is_launcher || !watched.process.in().is_open()) continue;
    // Short lines into an empty socket: they always fit. One that has ended is noticed elsewhere.
    [[maybe_unused]] const ssize_t written =
        ::send(watched.process.in().get(), line.data(), line.size(), MSG_NOSIGNAL);
  }
}

int Supervisor::run() {
  while (anybody_runs() || is_needed()) {
    wait_for_events();
    notice_endings();
    notice_stop();
    notice_neighbours();
    advance_phase();
    output_.show_due(Clock::now());
  }
  finish();
  return exit_code();
}

bool Supervisor::anybody_runs() const {
  return std::any_of(children_.begin(), children_.end(),
                     [](const Watched& watched) { return !watched.ending; });
}

// By other nodes, or to hear from them why our workers have lost one of theirs.
bool Supervisor::is_needed() {
  if (neighbours_ == nullptr || control_ended_ || phase_ == Phase::killing) return false;
  const bool looks_for_cause = failure_ && failure_->consequence && stop_signal_ == 0 &&
                               phase_ == Phase::grace && Clock::now() < *phase_ends_;
  return looks_for_cause || neighbours_->is_needed();
}

void Supervisor::wait_for_events() {
  std::vector<pollfd> fds;
  const auto wait_for = [&](int fd) {
    if (fd >= 0) fds.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  };
  for (Watched& watched : children_) {
    if (!watched.ending) wait_for(watched.process.ended_fd());
    wait_for(watched.process.out().get());
    wait_for(watched.process.err().get());
  }
  if (!control_ended_) wait_for(options_.control_fd);
  auto limit = kLongestWait;
  if (const auto due = output_.next_due()) {
    const auto left = std::chrono::ceil<milliseconds>(*due - Clock::now());
    limit = std::clamp(left, milliseconds(0), limit);
  }
  // EINTR means a signal: what it asks for is looked at next.
  if (::poll(fds.data(), fds.size(), static_cast<int>(limit.count())) <= 0) return;
  for (Watched& watched : children_) {
    for (const Stream stream : {Stream::out, Stream::err}) read_some(watched, stream);
  }
  read_control();
}

// One read, so that a worker that prints without end does not starve the others. False when there
// was nothing.
bool Supervisor::read_some(Watched& watched, Stream stream) {
  OwnedFd& pipe = stream == Stream::out ? watched.process.out() : watched.process.err();
  if (!pipe.is_open()) return false;
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  const auto now = Clock::now();
  if (got <= 0) {
    pipe.close();
    output_.end(watched.facts.rank, stream, now);
    return false;
  }
  output_.add(watched.facts.rank, stream, {buffer.data(), static_cast<std::size_t>(got)}, now);
  return true;
}

// What an ended worker had written. Bounded: a program that it left behind may go on writing.
void Supervisor::drain(Watched& watched) {
  constexpr int kMostReads = 1000;
  for (const Stream stream : {Stream::out, Stream::err}) {
    for (int i = 0; i < kMostReads && read_some(watched, stream); ++i) {
    }
  }
}

void Supervisor::read_control() {
  if (options_.control_fd < 0 || control_ended_) return;
  pollfd ready{.fd = options_.control_fd, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, 0) <= 0) return;
  std::array<char, 256> buffer;
  const ssize_t got = ::read(options_.control_fd, buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    control_ended_ = true;
    if (anybody_runs() && phase_ != Phase::killing) {
      output_.say("shoal: the connection to the starting launcher has ended: stopping the workers");
      fail({.rank = -1, .exit_code = kLostWorker, .sentence = "the starting launcher is gone"});
      signal_all(SIGTERM);
      enter(Phase::terminating, options_.grace);
    }
    return;
  }
  control_line_.append(buffer.data(), static_cast<std::size_t>(got));
  for (auto end = control_line_.find('\n'); end != std::string::npos;
       end = control_line_.find('\n')) {
    const std::string line = control_line_.substr(0, end);
    control_line_.erase(0, end + 1);
    if (line == fmt::format("stop {}", SIGINT)) forward_stop(SIGINT);
    if (line == fmt::format("stop {}", SIGTERM)) forward_stop(SIGTERM);
  }
  if (control_line_.size() > buffer.size()) control_line_.clear();  // nothing we ever send
}

void Supervisor::notice_endings() {
  std::vector<Watched*> ended;
  for (Watched& watched : children_) {
    if (watched.ending) continue;
    watched.ending = watched.process.ending();
    if (!watched.ending) continue;
    drain(watched);
    ended.push_back(&watched);
  }
  // Of those that ended together, a worker that lost another is the consequence, not the cause.
  std::stable_partition(ended.begin(), ended.end(), [](const Watched* watched) {
    return watched->ending->exit_code != kLostWorker;
  });
  for (const Watched* watched : ended) {
    const auto failure = failure_of(*watched);
    const bool by_us = phase_ == Phase::terminating || phase_ == Phase::killing;
    const bool consequence = failure && (failure->consequence || by_us);
    output_.ended(watched->facts.rank, consequence ? Because::others : Because::own);
    if (failure && !by_us) judge(*watched, *failure);
  }
}

std::optional<Failure> Supervisor::failure_of(const Watched& watched) const {
  const Ending& ending = *watched.ending;
  if (ending.signal == 0 && ending.exit_code == 0) return std::nullopt;
  const auto& facts = watched.facts;
  if (facts.is_launcher && ending.exit_code == kSshFailed) {
    return Failure{.rank = -1,
                   .exit_code = kLostWorker,
                   .sentence = fmt::format("{} cannot be reached any more or could not be started "
                                           "(ssh ended with code 255)",
                                           facts.name)};
  }
  return Failure{
      .rank = facts.is_launcher ? -1 : facts.rank,
      .exit_code = ending.signal != 0 ? kLostWorker : ending.exit_code,
      .sentence = fmt::format("{} (pid {}{}) {}", facts.name, watched.process.pid(), facts.where,
                              describe(ending)),
      .own_words = output_.explanation(facts.rank).value_or(""),
      // A launcher has sorted its workers' causes from their consequences already.
      .consequence = !facts.is_launcher && ending.signal == 0 && ending.exit_code == kLostWorker};
}

// What the end of one worker means for the job.
void Supervisor::judge(const Watched& watched, const Failure& failure) {
  const Ending& ending = *watched.ending;
  if (ends_after_stop(ending) && (stop_signal_ != 0 || ending.signal == 0)) {
    // Asked to stop, by us or by somebody else, the workers agree on a last step and end one by
    // one: the slower ones may still write their checkpoints.
    if (stop_signal_ == 0 && !failure_) {
      failure_ = failure;
      enter(Phase::stopping, options_.stop);
    }
    return;
  }
  lost_(failure);
  say_failure(watched, failure);
  fail(failure);
}

// The launcher's words for a worker that has none of its own.
void Supervisor::say_failure(const Watched& watched, const Failure& failure) {
  const Ending& ending = *watched.ending;
  const bool is_launcher = watched.facts.is_launcher;
  const bool ssh_failed = is_launcher && ending.exit_code == kSshFailed;
  const bool has_words = is_launcher || !failure.own_words.empty();
  if (ending.signal != 0 || ssh_failed || (!has_words && supersedes(failure))) {
    if (failure.consequence) {
      output_.add_error(failure.rank, failure.sentence, Clock::now());
    } else {
      output_.say("error: " + failure.sentence);
    }
  }
}

// The first cause counts; without one, the first consequence.
bool Supervisor::supersedes(const Failure& failure) const {
  return !failure_ || (failure_->consequence && !failure.consequence);
}

// Of a lost worker or launcher the others may say more: where it was missing.
void Supervisor::note_cause(const Failure& failure) {
  if (failure.consequence) return;
  if (failure.exit_code == kLostWorker) {
    output_.know_loss();
  } else {
    output_.know_cause();
  }
}

void Supervisor::fail(const Failure& failure) {
  note_cause(failure);
  if (supersedes(failure)) {
    failure_ = failure;
    if (neighbours_ != nullptr) neighbours_->tell_failure(failure);
  }
  if (phase_ == Phase::running || phase_ == Phase::stopping) enter(Phase::grace, options_.grace);
}

void Supervisor::notice_stop() {
  const int signal_number = stop_.signal();
  if (signal_number == 0 || signal_number == stop_signal_) return;
  if (stop_signal_ != 0) {
    // Asked a second time, in another way: at once.
    signal_all(SIGKILL);
    enter(Phase::killing, options_.grace);
    stop_signal_ = signal_number;
    return;
  }
  forward_stop(signal_number);
  if (neighbours_ != nullptr) neighbours_->tell_stop(signal_number);
}

void Supervisor::notice_neighbours() {
  if (neighbours_ == nullptr) return;
  if (const auto failure = neighbours_->failure(); failure && supersedes(*failure)) {
    note_cause(*failure);
    if (failure->own_words.empty()) {
      output_.say("error: " + failure->sentence);
    } else {
      output_.add_error(failure->rank, failure->own_words, Clock::now());
      output_.ended(failure->rank, failure->consequence ? Because::others : Because::own);
    }
    failure_ = failure;
    if (phase_ == Phase::running || phase_ == Phase::stopping) enter(Phase::grace, options_.grace);
  }
  if (const int signal_number = neighbours_->stop_signal()) forward_stop(signal_number);
}

void Supervisor::forward_stop(int signal_number) {
  if (stop_signal_ != 0) return;
  stop_signal_ = signal_number;
  stopped_first_ = !failure_;
  write_to_launchers(fmt::format("stop {}\n", signal_number));
  for (Watched& watched : children_) {
    if (!watched.facts.is_launcher && !watched.ending) watched.process.signal_group(signal_number);
  }
  if (phase_ == Phase::running) enter(Phase::stopping, options_.stop);
}

void Supervisor::enter(Phase phase, milliseconds limit) {
  phase_ = phase;
  phase_ends_ = Clock::now() + limit;
}

void Supervisor::advance_phase() {
  if (!phase_ends_ || Clock::now() < *phase_ends_ || !anybody_runs()) return;
  switch (phase_) {
    case Phase::running:
      break;
    case Phase::stopping:
    case Phase::grace:
      output_.say(fmt::format(
          "shoal: {} did not end by themselves within {} s: stopping them", who_runs(),
          std::chrono::duration<double>(phase_ == Phase::grace ? options_.grace : options_.stop)
              .count()));
      signal_all(SIGTERM);
      enter(Phase::terminating, options_.grace);
      break;
    case Phase::terminating:
    case Phase::killing:
      signal_all(SIGKILL);
      enter(Phase::killing, options_.grace);
      break;
  }
}

std::string Supervisor::who_runs() const {
  std::vector<std::string> names;
  for (const Watched& watched : children_) {
    if (!watched.ending) names.push_back(watched.facts.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void Supervisor::signal_all(int signal_number) {
  for (Watched& watched : children_) {
    if (watched.facts.is_launcher && signal_number != SIGKILL) {
      watched.process.in().close();  // the launcher at the other end stops its workers
    } else {
      watched.process.signal_group(signal_number);
    }
  }
}

// Whatever the workers have left running in their groups dies now; what it wrote is still shown.
void Supervisor::finish() {
  signal_all(SIGKILL);
  for (Watched& watched : children_) {
    drain(watched);
    for (const Stream stream : {Stream::out, Stream::err}) {
      output_.end(watched.facts.rank, stream, Clock::now());
    }
  }
  children_.clear();
  output_.show_all();
}

// A worker that says what went wrong while it stopped counts, such as a last checkpoint that did
// not fit the disk. Of one that says nothing, the stop itself may be the reason.
int Supervisor::exit_code() const {
  const bool explained = failure_ && !failure_->consequence && !failure_->own_words.empty();
  if (failure_ && (!stopped_first_ || explained)) return failure_->exit_code;
  return stop_signal_ != 0 ? 128 + stop_signal_ : 0;
}

}  // namespace shoal
