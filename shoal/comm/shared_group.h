// Ranks that reach each other through a region: threads of one process ("memory") or processes of
// one host ("shm"). Every operation is carried out on the caller's thread; there is no other.
//
// Every collective is made of steps. In a step each rank shows its call and either a small payload
// or that a chunk of its staging memory is filled, and waits for the same of all others. So calls
// that differ are always seen, and no rank can be more than one step ahead.
//
// all_reduce, two_shot (facts measured on two cores; "migratory staging"): rank r owns slice r of
// each chunk. It copies the other slices of its input into its own staging memory, adds the ranks'
// slices r in the order of ranks, and writes the sum back into the staging memory of all: a cache
// line that both sides write in turn costs a tenth of one that only travels one way.
// Cost: one step up to RegionShape::kSmallBytes; above, one step and one "done" per chunk, and
// 2 (n-1)/n of the bytes written for others.
//
// Buffers that all ranks have from allocate() are not staged: rank r reads slice r of all of them
// and writes the sum to all of them. Cost: one step and one "done"; S read and S written by each.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/arena.h"
#include "shoal/comm/group.h"
#include "shoal/comm/group_registry.h"
#include "shoal/comm/parts.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/comm/schedule_run.h"
#include "shoal/comm/shared_frames.h"
#include "shoal/comm/shared_messages.h"
#include "shoal/comm/shared_wait.h"
#include "shoal/core/partition.h"

namespace shoal {

class SharedGroup final : public Group {
 public:
  // The registry may be null.
  SharedGroup(SharedGroupSpec spec, std::shared_ptr<GroupRegistry> registry);
  ~SharedGroup() override;
  // Until all members are there; not counted as a call.
  void meet(Deadline deadline);

  int rank() const override { return spec_.rank; }
  int size() const override { return size_; }
  const std::string& name() const override { return spec_.name; }
  std::string_view engine() const override { return spec_.engine; }

  void all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) override;
  void broadcast(Buffer data, int root, Deadline deadline) override;
  void all_gather(ConstBuffer in, Buffer out, Deadline deadline) override;
  void reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) override;
  void reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) override;
  void barrier(Deadline deadline) override;
  void send(ConstBuffer data, int to, Deadline deadline) override;
  void receive(Buffer data, int from, Deadline deadline) override;
  bool has_message(int from) override;
  void abort() override;
  std::uint64_t bytes_sent() const override;
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override;

 protected:
  void transfer(const Call& call, std::span<const ConstBuffer> in, std::span<const Buffer> out,
                Deadline deadline) override;

 private:
  // A collective under way.
  class Round;
  // The stretch of a vector that one rank reduces in one chunk.
  struct Slice {
    std::size_t begin;   // element in the input
    std::size_t count;   // elements
    std::size_t offset;  // bytes in staging memory
  };
  class Cut;

  Region& region() const { return *spec_.region; }
  StepLine& next_line() { return region().state(spec_.rank).steps[(steps_ + 1) & 1]; }

  // Shows the call (and what was put in next_line() or the small slot) to the others.
  void publish(const Round& round);
  // Until all have published the same step; throws InvalidInput when calls differ.
  void await_step(const Round& round);
  // Where the payload of the step under way (or to come) lies.
  std::byte* payload(int rank, std::size_t bytes, std::uint32_t step);

  void reduce_small(const Round& round, const Parts& in, std::byte* out);
  class Handful;
  void transfer_frames(const Round& round, bool own_is_done, std::span<const ConstBuffer> in,
                       std::span<const Buffer> out);
  // Publishes, waits for all, and moves the frames.
  void run_frames(const Round& round, FrameRun& run);
  // A sum of a whole vector (out null: back into `in`), or of pieces into `out`.
  void reduce_chunks(const Round& round, const Cut& cut, const Parts& in, const Parts* out);
  // The same, and all_gather, of vectors in arenas.
  void reduce_in_place(const Round& round, const Parts& in, const Parts* out);
  void gather_in_place(const Round& round, Buffer out, std::size_t bytes);
  // Shows with the next step where the own vector lies.
  void show_place(ArenaPlace place);
  // Of the step that all have published: how many ranks' vectors lie in arenas, and where.
  int count_places();
  std::byte* place_of(int rank) { return region().arena(rank) + (places_[rank] - 1); }
  // Some vectors lie in arenas and some do not: those that do are staged after all.
  void settle_on_staging(const Round& round, const Cut& cut, const Parts& in, bool is_in_arena);
  void stage_early(const Round& round, const Cut& cut, const Parts& in, std::size_t chunk);
  void stage(const Cut& cut, const Parts& in, std::size_t chunk, std::uint32_t number);
  void reduce_slice(const Round& round, const Cut& cut, std::size_t chunk, const Parts& in,
                    const Parts* out);

  // Copies what lies in another rank's staging memory.
  void take_staged(std::byte* to, std::byte* staged, std::size_t bytes) const;
  std::byte* staging(int rank, std::uint32_t chunk) {
    return region().staging(rank, static_cast<int>(chunk & 1));
  }
  void await_staging(const Round& round, std::uint32_t chunk);
  void await_done(const Round& round, std::uint32_t chunks);
  void chunk_done() { region().state(spec_.rank).done.advance_to(++done_); }

  const SharedGroupSpec spec_;
  const int size_;
  const std::shared_ptr<Arena> arena_;  // shared: with the memory that was allocated
  SharedWait wait_;
  SharedMessages messages_;

  // Of the thread that makes collectives.
  std::uint64_t calls_ = 0;  // collectives so far
  std::uint32_t steps_ = 0;  // published
  std::uint32_t done_ = 0;   // chunks finished
  GroupSchedules schedules_;
  SharedFrames frames_;
  std::vector<const std::byte*> sources_;  // for one kernel call
  std::vector<std::byte*> outputs_;
  std::vector<ArenaPlace> places_;  // by rank, of the call under way

  std::atomic<std::uint64_t> bytes_sent_{0};
  std::atomic<std::uint64_t> calls_shown_{0};  // calls_, for abort() from another thread
  Registered registered_;                      // last: see Registered
};

}  // namespace shoal
