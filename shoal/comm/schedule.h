// An algorithm of collective communication as a value: who sends what to whom, in which order. The
// same schedule runs (run_schedule), is counted, is timed on a topology (time_schedule), and is
// proved right before it runs (problem_of).
//
// The vector is cut in chunks (part_of). Every rank begins with its own contribution to every chunk
// and ends with the sum. Transfers of one step start from what their senders hold after the steps
// before. A rank sums what it holds of a chunk and what a step adds to it in the order of ranks:
// its own at its own place. So the order of every addition is fixed by the schedule alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace shoal {

struct Transfer {
  enum class Effect : std::uint8_t {
    add,      // the receiver sums it with what it holds
    replace,  // the receiver holds it from now on: a whole sum
  };
  int step = 0;
  int from = 0;
  int to = 0;
  int first = 0;   // chunks
  int chunks = 1;  // as many, contiguous
  Effect effect = Effect::add;
  friend bool operator==(const Transfer&, const Transfer&) = default;
};

struct Schedule {
  std::string algorithm;
  int size = 1;                     // ranks
  int chunks = 1;                   // of the vector
  std::vector<Transfer> transfers;  // by step, ascending

  int steps() const;
};

// A schedule, with what one rank has to know of it beforehand. Worked out once for a group.
struct RankSchedule {
  Schedule schedule;
  int rank = 0;
  // By transfer: whether its payload is a sum that is not whole yet. Such sums of half types travel
  // in float32: twice the bytes.
  std::vector<bool> carries_partial_sum;
  // By chunk: the step whose additions make the sum on `rank` whole, -1 where it comes whole from
  // another or never does.
  std::vector<int> completed_by;
};
RankSchedule rank_schedule(Schedule schedule, int rank);

// The part of an all-reduce that reduces: chunk c is whole on the rank where it was when it was
// first handed on.
Schedule reduce_scatter_part(const Schedule& all_reduce);

// A reduce-scatter that leaves chunk c on rank c, and each chunk handed on to the ranks `to`.
Schedule handed_on(Schedule reduce_scatter, const std::vector<int>& to);

// Elements that a transfer moves of a vector of `elements`.
std::int64_t elements_of(const Schedule& schedule, const Transfer& transfer, std::int64_t elements);

// What the schedule moves of a vector of `elements`, in elements.
struct ScheduleCounts {
  int steps = 0;
  std::vector<std::int64_t> sent;               // by rank
  std::vector<std::vector<std::int64_t>> link;  // from, to
  std::int64_t total = 0;
};
ScheduleCounts count(const Schedule& schedule, std::int64_t elements);

// Empty when the schedule is an all-reduce: every rank ends with every contribution exactly once,
// summed in the same order everywhere, and nothing is overwritten that is still being sent.
// Otherwise one sentence that names rank, chunk and transfer. Cost: size x transfers.
std::string problem_of(const Schedule& schedule);

// "0>1 +[2]", "3>2 =[0-3]": "+" adds, "=" replaces.
std::string text_of(const Transfer& transfer);
// "step 0: 0>1 +[0], 1>2 +[1]", a line a step.
std::string text_of(const Schedule& schedule);

}  // namespace shoal
