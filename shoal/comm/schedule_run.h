// One rank's part of a schedule under way.
//
// The vector is cut in cells of at most kSegmentBytes, and a frame carries neighbouring cells. A
// cell goes on as soon as the rank has summed it, whatever the others do: so every schedule is a
// pipeline, and no step waits for a whole chunk. Partial sums of half types travel in float32 and
// are rounded once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "shoal/comm/choices.h"
#include "shoal/comm/frame_run.h"
#include "shoal/comm/parts.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/comm/schedule.h"
#include "shoal/comm/topology.h"
#include "shoal/core/partition.h"

namespace shoal {

// Memory that is kept from call to call.
struct ScheduleScratch {
  std::vector<std::byte> incoming;  // contributions, until they are summed
  std::vector<std::byte> outgoing;  // copies of what is summed into while it is sent
  std::vector<std::byte> held;      // sums that cannot lie in the caller's memory
  std::vector<std::byte> widened;
};

// The schedules of one group's calls, each worked out when it is first asked for.
class GroupSchedules {
 public:
  GroupSchedules(AlgorithmPolicy policy, const NetworkLayout& layout, int rank, int size);
  Algorithm algorithm_of(Operation operation, std::size_t bytes) const {
    return policy_.of(operation, bytes);
  }
  // Null for algorithms whose calls engines make in a way of their own, as of two_shot.
  const RankSchedule* all_reduce(Algorithm algorithm);
  const RankSchedule* reduce_scatter(Algorithm algorithm);
  const RankSchedule* all_gather(Algorithm algorithm);
  const RankSchedule* broadcast(Algorithm algorithm, int root);
  const RankSchedule& reduce(int root);
  const RankSchedule* barrier();

  ScheduleScratch scratch;

 private:
  template <typename Make>
  const RankSchedule& kept(Operation operation, Algorithm algorithm, int root, const Make& make);

  const AlgorithmPolicy policy_;
  const NetworkLayout layout_;
  const int rank_;
  const int size_;
  std::map<std::tuple<Operation, Algorithm, int>, RankSchedule> kept_;
};

// One thread at a time. Borrows everything.
class ScheduleRun final : public FrameRun {
 public:
  // all_reduce: the sum replaces what is in `parts`. The schedule has passed problem_of.
  ScheduleRun(const RankSchedule& schedule, const Parts& parts, ReduceOp op,
              ScheduleScratch& scratch);
  // reduce and reduce_scatter, which leave `in` as it is: `out` takes the whole vector, or chunk
  // rank() of it, or nothing, as its size says. Chunk c is whole on rank c before it is handed on.
  ScheduleRun(const RankSchedule& schedule, const Parts& in, const Parts& out, ReduceOp op,
              ScheduleScratch& scratch);

  void send_ready(const Send& send) override;
  Stretches place(int from, std::uint32_t number) const override;
  void arrived(int from, std::uint32_t number) override;
  bool awaits(int from) const override;
  void finish() override;

 private:
  struct Cells {
    int begin, end;
  };
  // A transfer that this rank sends or receives.
  struct Move {
    int peer = 0;
    int step = 0;
    Transfer::Effect effect = Transfer::Effect::add;
    Cells cells{};
    std::uint32_t ordinal = 0;  // among those of the pair of ranks
    bool wide = false;          // a partial sum, in wide_type
    int next = 0;               // cell that goes, or comes, next
    std::uint32_t frame = 0;    // of that cell
    // Outgoing: whether the bytes are copied first. Incoming: whether they are summed.
    bool through_scratch = false;
    std::size_t scratch_at = 0;  // bytes
  };
  // What comes in of one chunk in one step.
  struct Arrival {
    int step;
    std::vector<int> moves;  // incoming, by rank of the sender
  };

  ScheduleRun(const RankSchedule& schedule, const Parts& in, const Parts& out, ReduceOp op,
              ScheduleScratch& scratch, bool in_place);
  void cut();
  void plan_moves();
  void plan_scratch();
  int chunk_of(int cell) const { return chunk_of_[cell]; }
  Cells cells_of(const Transfer& transfer) const;
  int frame_end(const Move& move) const;
  std::int64_t elements(Cells cells) const;
  std::size_t wire_bytes(const Move& move) const { return move.wide ? wide_ : element_; }
  Stretches stretches(const Parts& parts, Cells cells) const;
  bool is_ready(const Move& move, int end) const;
  Stretches payload(Move& move, Cells cells);
  const Move* incoming(int from, std::uint32_t number) const;
  void advance(int cell);
  bool is_owed(int cell, int step) const;
  void sum(int cell, const Arrival& arrival);
  const std::byte* widened(const Move& move, int cell, std::size_t place);
  std::byte* held(int cell) {
    return scratch_.held.data() + static_cast<std::size_t>(cells_[cell].begin) * wide_;
  }
  void hold(int cell);
  void complete(int cell);

  const RankSchedule& known_;
  const Schedule& schedule_;
  const int rank_;
  const Parts& in_;
  const Parts& out_;
  ScheduleScratch& scratch_;
  const bool in_place_;
  const std::size_t element_;
  const std::size_t wide_;  // bytes of an element of a partial sum
  const bool holds_;        // sums are kept in scratch_.held until they are whole
  const bool divides_;      // a mean: the sum is divided when it is whole
  const WideForm form_;
  const Reduction reduce_;  // of partial sums

  std::vector<Range> cells_;        // elements
  std::vector<int> chunk_of_;       // by cell
  std::vector<int> first_cell_of_;  // by chunk, and one more
  std::vector<Move> out_moves_;
  std::vector<Move> in_moves_;
  std::vector<std::vector<Arrival>> arrivals_;  // by chunk, in order
  std::vector<int> done_;                       // by cell: arrivals dealt with
};

}  // namespace shoal
