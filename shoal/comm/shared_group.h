// Ranks that reach each other through a region: threads of one process ("memory") or processes of
// one host ("shm"). Every operation is carried out on the caller's thread; there is no other.
//
// Every collective is made of steps. In a step each rank shows its call and either a small payload
// or that a chunk of its staging memory is filled, and waits for the same of all others; in a
// broadcast, of the root alone, so that its root waits for nobody while there is room. Calls that
// differ are always seen, at the latest when that room is used up.
//
// all_reduce, two_shot (facts measured on two cores; "migratory staging"): rank r owns slice r of
// each chunk. It copies the other slices of its input into its own staging memory, adds the ranks'
// slices r in the order of ranks, and writes the sum back into the staging memory of all: a cache
// line that both sides write in turn costs a tenth of one that only travels one way.
// Cost: one step up to RegionShape::kSmallBytes; above, one step and one "done" per chunk, and
// 2 (n-1)/n of the bytes written for others.
//
// What all ranks have from allocate() is not staged: rank r reads slice r of all ranks' memory and
// writes the sum to all of them. Cost: one step and one "done"; S read and S written by each.
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
  bool shares_memory() const override { return spec_.region->shape().arena_bytes != 0; }

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
  StepLine& next_line() { return region().line(spec_.rank, steps_ + 1); }
  void remember(std::uint64_t packed_call);

  // Shows the call (and what was put in the payload) to the others.
  void publish(const Round& round);
  // Until all, or one, have published the step that this rank published last; throws InvalidInput
  // when calls differ.
  void await_step(const Round& round);
  void await_step_of(const Round& round, int rank);
  // Before anything of the next step is written.
  void await_room(const Round& round);
  // Where the payload of the next step goes, and where that of the step under way lies.
  std::byte* own_payload(const Round& round, std::size_t bytes);
  std::byte* own_small_slot(const Round& round);
  std::byte* small_slot(int rank) { return region().small(rank, static_cast<int>(steps_ & 1)); }
  std::byte* payload(int rank, std::size_t bytes) {
    return bytes <= StepLine::kInlineBytes ? region().line(rank, steps_).payload : small_slot(rank);
  }

  void reduce_small(const Round& round, const Parts& in, std::byte* out);
  // Publishes, waits for all, and moves the frames.
  void run_frames(const Round& round, FrameRun& run);

  // A sum of a whole vector (out null: back into `in`), or of pieces into `out`.
  void reduce_large(const Round& round, const Parts& in, const Parts* out);
  void reduce_chunks(const Round& round, const Cut& cut, const Parts& in, const Parts* out);
  // The chunk under way or the next.
  void stage_early(const Round& round, const Cut& cut, const Parts& in, std::size_t chunk);
  // The first two chunks, and the step of the first.
  void begin_staging(const Round& round, const Cut& cut, const Parts& in, bool is_staged);
  void stage(const Cut& cut, const Parts& in, std::size_t chunk, std::uint32_t number);
  void reduce_slice(const Round& round, const Cut& cut, std::size_t chunk, const Parts& in,
                    const Parts* out);

  // Stretches of vectors that lie in arenas. A rank shows its own with the next step; of the step
  // that all have published, those are kept which all ranks show.
  struct Shown;
  std::byte* shown_at(int rank, std::uint64_t count);
  bool show_stretches(const Round& round, const Parts& vector);
  bool keep_common_stretches();  // whether anybody has shown any
  std::size_t common_elements() const;
  std::byte* place_of(std::size_t stretch, int rank) {
    return region().arena(rank) + (places_[stretch * size_ + rank] - 1);
  }
  void reduce_in_place(const Round& round, const Parts* out);
  void reduce_rest(const Round& round, const Parts& in);

  void look_around(const Round& round);
  void broadcast_notice(const Round& round, Buffer data, int root);
  void broadcast_chunks(const Round& round, Buffer data, int root);
  void broadcast_together(const Round& round, Buffer data, int root);

  // What a rank gives in a transfer.
  struct Giving;
  Giving own_giving(const Call& call, std::span<const ConstBuffer> in);
  Giving giving_of(int giver, const Call& call);
  void show_giving(const Round& round, const Giving& own, std::span<const ConstBuffer> in);
  void hand_over(const Round& round, std::span<const ConstBuffer> in, std::span<const Buffer> out);
  void take_what_is_there(const Round& round, std::span<const ConstBuffer> in,
                          std::span<const Buffer> out, bool past_caches);
  void take_staged_pieces(const Round& round, std::span<const ConstBuffer> in,
                          std::span<const Buffer> out, bool past_caches);
  void stage_pieces(const Round& round, const Giving& own, std::span<const ConstBuffer> in,
                    std::size_t chunk);

  // Beginning with the next rank, so that not all read the same memory at once.
  template <typename Take>
  void for_others(const Take& take) const {
    for (int step = 1; step < size_; ++step) take((spec_.rank + step) % size_);
  }
  // Copies what lies in another rank's staging memory; past the caches when the call's output
  // outgrows them.
  void take_staged(std::byte* to, std::byte* staged, std::size_t bytes, bool past_caches) const;
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
  std::uint64_t calls_ = 0;                      // collectives so far
  std::uint64_t calls_in_one_word_ = 0;          // equal exactly when all of them were
  std::uint32_t steps_ = 0;                      // published
  std::uint32_t seen_of_all_ = 0;                // the last step for which this rank awaited all
  Deadline::Clock::time_point looked_around_{};  // for whom this rank does not wait
  std::uint32_t done_ = 0;                       // chunks finished
  GroupSchedules schedules_;
  SharedFrames frames_;
  std::vector<const std::byte*> sources_;  // for one kernel call
  std::vector<std::byte*> outputs_;
  struct Stretch {  // of a vector
    std::uint64_t begin;
    std::uint64_t elements;
    friend bool operator==(const Stretch&, const Stretch&) = default;
  };
  std::vector<Stretch> common_;     // of the call under way: those in arenas of all ranks,
  std::vector<ArenaPlace> places_;  // and where, by stretch and rank
  std::vector<Giving> givings_;     // of the transfer under way, by rank

  std::atomic<std::uint64_t> bytes_sent_{0};
  std::atomic<std::uint64_t> calls_shown_{0};  // calls_, for abort() from another thread
  Registered registered_;                      // last: see Registered
};

}  // namespace shoal
