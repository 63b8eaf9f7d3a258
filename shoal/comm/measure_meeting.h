// Where the ranks of a measurement meet before a call, and find out which of them took longest.
#pragma once

#include <span>

#include "shoal/comm/group.h"
#include "shoal/comm/measure_board.h"

namespace shoal {

class MeasureMeeting {
 public:
  virtual ~MeasureMeeting() = default;
  // Returns when all ranks have called it equally often.
  virtual void meet(Deadline deadline) = 0;
  // Each becomes the largest of all ranks', on all of them.
  virtual void take_largest(std::span<double> seconds, Deadline deadline) = 0;
};

// Ranks that share the board leave it together, whatever the engine that is measured.
class BoardMeeting final : public MeasureMeeting {
 public:
  BoardMeeting(MeasureBoard& board, int rank, int ranks)
      : board_(board), rank_(rank), ranks_(ranks) {}
  void meet(Deadline deadline) override { board_.meet(rank_, deadline); }
  void take_largest(std::span<double> seconds, Deadline deadline) override;

 private:
  MeasureBoard& board_;
  const int rank_;
  const int ranks_;
};

// Ranks of several hosts leave a barrier as far apart as it lets them; so much more do small calls
// seem to take.
class GroupMeeting final : public MeasureMeeting {
 public:
  explicit GroupMeeting(Group& group) : group_(group) {}
  void meet(Deadline deadline) override { group_.barrier(deadline); }
  void take_largest(std::span<double> seconds, Deadline deadline) override;

 private:
  Group& group_;  // not the one that is measured
};

}  // namespace shoal
