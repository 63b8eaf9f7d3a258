#include "shoal/comm/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/choices.h"
#include "shoal/comm/measure_board.h"
#include "shoal/comm/measure_meeting.h"
#include "shoal/comm/rank_processes.h"
#include "shoal/comm/timed_calls.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/core/statistics.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kFloat32 = 4;
constexpr int kFewestCalls = 5;  // of a repetition

int calls_of(std::int64_t bytes) {
  constexpr std::int64_t kBytesEach = std::int64_t{64} << 20;
  return static_cast<int>(std::clamp<std::int64_t>(kBytesEach / std::max<std::int64_t>(bytes, 1),
                                                   kFewestCalls, MeasureBoard::kMostCalls));
}

// What the system could give without swapping; unknown: no limit.
std::int64_t available_bytes() {
  std::ifstream facts("/proc/meminfo");
  std::string name;
  std::int64_t kibibytes = 0;
  for (std::string unit; facts >> name >> kibibytes; std::getline(facts, unit)) {
    if (name == "MemAvailable:") return kibibytes << 10;
  }
  return std::numeric_limits<std::int64_t>::max();
}

// Refuses before the first buffer what the system would otherwise end by killing a rank.
void require_memory(const MeasureOptions& options, std::int64_t most_bytes) {
  const std::int64_t free = available_bytes();
  const std::int64_t needed =
      most_bytes * options.ranks * (TimedCalls::has_output(options.operation) ? 2 : 1);
  if (needed < free) return;
  throw InvalidInput(fmt::format(
      "buffers of {} bytes on {} ranks need {} MiB of memory, and {} MiB are free: measure smaller "
      "sizes or fewer ranks",
      most_bytes, options.ranks, needed >> 20, free >> 20));
}

// One rank of a measurement.
class Measurement {
 public:
  Measurement(const MeasureOptions& options, MeasureMeeting& meeting, const Tell& tell,
              double seconds)
      : options_(options), meeting_(meeting), tell_(tell), seconds_(seconds) {}

  void run(Group& group) {
    rank_ = group.rank();
    const std::vector<std::int64_t> sizes = measured_sizes(options_);
    TimedCalls calls(group, options_.operation, sizes.back(), options_.shared_buffers);
    for (const std::int64_t bytes : sizes) {
      calls.take_size(bytes);
      measure_size(calls, bytes);
      verify(calls, bytes);
    }
    group.barrier(deadline());
  }

 private:
  Deadline deadline() const { return Deadline::after_seconds(seconds_); }

  void measure_size(TimedCalls& calls, std::int64_t bytes) {
    const int count = warm_up(calls, calls_of(bytes));
    std::vector<double> slowest;
    for (int repetition = 0; repetition < options_.repetitions; ++repetition) {
      std::vector<double> taken = repeat(calls, count);
      meeting_.take_largest(taken, deadline());
      slowest.insert(slowest.end(), taken.begin(), taken.end());
    }
    if (rank_ == 0) result_ = summary_of(bytes, slowest, count);
  }

  // Returns how many calls a repetition is to have: `most`, or as many as a second holds where
  // ranks wait for cores that other programs use too; the same on all ranks.
  int warm_up(TimedCalls& calls, int most) {
    constexpr double kSeconds = 1;
    const auto start = Clock::now();
    repeat(calls, kFewestCalls);
    double each = std::chrono::duration<double>(Clock::now() - start).count() / kFewestCalls;
    meeting_.take_largest({&each, 1}, deadline());
    const int count =
        std::max(kFewestCalls, static_cast<int>(std::min<double>(most, kSeconds / each)));
    repeat(calls, std::max(2, count / 4));
    return count;
  }

  std::vector<double> repeat(TimedCalls& calls, int count) {
    std::vector<double> taken(static_cast<std::size_t>(count));
    for (double& seconds : taken) {
      calls.write_input();
      const Deadline limit = deadline();
      meeting_.meet(limit);
      const auto start = Clock::now();
      calls.call(limit);
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
      // Where ranks share cores, who is through must not write while the others' clocks run.
      meeting_.meet(limit);
    }
    return taken;
  }

  void verify(TimedCalls& calls, std::int64_t bytes) {
    calls.write_input();
    calls.spoil_output();
    calls.call(deadline());
    if (!calls.result_is_right()) {
      throw Error(fmt::format("{} of {} bytes: a wrong result on rank {}: see shoal comm test",
                              name_of(options_.operation), bytes, rank_));
    }
    // Nobody tells of a size before all have found it right.
    meeting_.meet(deadline());
    if (rank_ == 0) tell_(result_);
  }

  const MeasureOptions& options_;
  MeasureMeeting& meeting_;
  const Tell& tell_;
  const double seconds_;  // for one call
  int rank_ = 0;
  Measured result_;  // on rank 0
};

// A rank of a world made for the measurement alone.
void measure_on_board(const MeasureOptions& options, MeasureBoard& board, World& world,
                      const Tell& tell) {
  const std::vector<int> cores = allowed_cores();
  // In turn: else three of four ranks are on one of two cores at one time and two at another.
  pin_this_thread({cores[static_cast<std::size_t>(world.rank()) % cores.size()]});
  const double seconds = world.options().collective_seconds;
  const auto group =
      world.form_group("bench", all_ranks(options.ranks), Deadline::after_seconds(seconds));
  BoardMeeting meeting(board, world.rank(), options.ranks);
  Measurement(options, meeting, tell, seconds).run(*group);
}

void add_problems_of_sizes(const MeasureOptions& options, std::vector<std::string>& faults) {
  constexpr std::int64_t kMostBytes = std::int64_t{64} << 30;
  if (options.from_bytes < 1 || options.from_bytes > kMostBytes) {
    faults.push_back(
        fmt::format("sizes from {} bytes: give 1 to {}", options.from_bytes, kMostBytes));
  } else if (options.to_bytes < options.from_bytes || options.to_bytes > kMostBytes) {
    faults.push_back(fmt::format("sizes from {} to {} bytes: give an end of {} to {}",
                                 options.from_bytes, options.to_bytes, options.from_bytes,
                                 kMostBytes));
  }
}

}  // namespace

std::vector<std::string> MeasureOptions::problems() const {
  std::vector<std::string> faults;
  if (engine == Engine::automatic) faults.push_back("name the engine to measure");
  if (std::find(std::begin(kMeasuredOperations), std::end(kMeasuredOperations), operation) ==
      std::end(kMeasuredOperations)) {
    faults.push_back(fmt::format("{} is not measured", name_of(operation)));
  }
  if (algorithm != Algorithm::automatic && !has_algorithm(operation, algorithm)) {
    faults.push_back(fmt::format("{} does not run {}: it is an algorithm of all_reduce{}",
                                 name_of(operation), name_of(algorithm),
                                 algorithm == Algorithm::ring ? " and reduce_scatter" : ""));
  }
  if (shared_buffers && engine != Engine::memory && engine != Engine::shm) {
    faults.push_back(
        fmt::format("no buffer is shared over {}: measure ordinary ones", name_of(engine)));
  }
  if (ranks < 2 || ranks > MeasureBoard::kMostRanks) {
    faults.push_back(fmt::format("{} ranks: give 2 to {}", ranks, MeasureBoard::kMostRanks));
  }
  if (repetitions < 1 || repetitions > 1000) {
    faults.push_back(fmt::format("{} repetitions: give 1 to 1000", repetitions));
  }
  add_problems_of_sizes(*this, faults);
  return faults;
}

CommOptions MeasureOptions::comm() const {
  CommOptions comm;
  comm.engine = engine;
  comm.algorithm = algorithm;
  comm.choices = choices;
  comm.ranks_per_host = ranks_per_host;
  return comm;
}

std::vector<std::int64_t> measured_sizes(const MeasureOptions& options) {
  if (options.operation == Operation::barrier) return {0};
  const bool in_parts = TimedCalls::has_output(options.operation);
  const std::int64_t unit = kFloat32 * (in_parts ? options.ranks : 1);
  std::vector<std::int64_t> sizes;
  for (std::int64_t bytes = options.from_bytes; bytes <= options.to_bytes; bytes *= 4) {
    const std::int64_t whole = (bytes + unit - 1) / unit * unit;
    if (sizes.empty() || whole != sizes.back()) sizes.push_back(whole);
  }
  return sizes;
}

Measured summary_of(std::int64_t bytes, const std::vector<double>& seconds, int calls_each) {
  std::vector<double> medians;
  for (auto first = seconds.begin(); first != seconds.end(); first += calls_each) {
    medians.push_back(median_of({first, first + calls_each}));
  }
  return {.bytes = bytes,
          .calls = static_cast<int>(seconds.size()),
          .median = median_of(medians),
          .least = *std::min_element(medians.begin(), medians.end()),
          .most = *std::max_element(medians.begin(), medians.end()),
          .p99 = quantile(seconds, 0.99)};
}

double algorithm_bandwidth(const Measured& measured) {
  return static_cast<double>(measured.bytes) / measured.median;
}

double bus_bandwidth(const Measured& measured, Operation operation, int ranks) {
  const double others = static_cast<double>(ranks - 1) / ranks;
  const double factor = operation == Operation::all_reduce  ? 2 * others
                        : TimedCalls::has_output(operation) ? others
                                                            : 1;
  return algorithm_bandwidth(measured) * factor;
}

std::vector<Measured> measure(const MeasureOptions& options, const Tell& on_size) {
  require_none(options.problems());
  require_memory(options, measured_sizes(options).back());
  const CommOptions comm = options.comm();
  MeasureBoard board(options.ranks, options.ranks > static_cast<int>(allowed_cores().size()));
  std::vector<Measured> all;
  const Tell keep = [&](const Measured& measured) {
    all.push_back(measured);
    on_size(measured);
  };
  if (options.engine == Engine::memory) {
    run_ranks(options.ranks, comm, [&](World& world) {
      try {
        measure_on_board(options, board, world, keep);
      } catch (...) {
        board.stop();  // who meets is not in a call that the world could abort
        throw;
      }
    });
    return all;
  }
  run_rank_processes(
      options.ranks, comm, board,
      [&](World& world, const Tell& tell) { measure_on_board(options, board, world, tell); }, keep);
  return all;
}

std::vector<Measured> measure_among(Group& group, Group& meeting, const MeasureOptions& options,
                                    double collective_seconds, const Tell& on_size) {
  MeasureOptions own = options;
  own.ranks = group.size();
  require_none(own.problems());
  require_memory(own, measured_sizes(own).back());
  std::vector<Measured> all;
  GroupMeeting among(meeting);
  const Tell keep = [&](const Measured& measured) {
    all.push_back(measured);
    on_size(measured);
  };
  Measurement(own, among, keep, collective_seconds).run(group);
  return all;
}

}  // namespace shoal
