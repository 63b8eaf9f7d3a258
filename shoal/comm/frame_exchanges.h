// What the collectives of the tcp engine do with frames: who sends what to whom, and when.
#pragma once

#include <functional>
#include <vector>

#include "shoal/comm/frame_links.h"
#include "shoal/comm/frame_run.h"
#include "shoal/comm/parts.h"
#include "shoal/comm/reduce_kernels.h"
#include "shoal/core/partition.h"

namespace shoal {

// One frame from every rank to every other: barrier, and everything small. 1 step, (n-1) S.
class AllToAllFrames final : public FrameExchange {
 public:
  // Sends `own`; what rank r sends goes to memory + r * stride.
  AllToAllFrames(FrameLinks& links, const FrameRound& round, int rank, int size);
  void start(std::byte* own, std::size_t bytes, std::byte* memory, std::size_t stride);

  bool place(int from, const FrameHeader& header, Stretches& where) override;
  void arrived(int from, const FrameHeader& header) override;
  bool awaits(int from) const override { return !come_[from]; }

 private:
  FrameLinks& links_;
  const FrameRound& round_;
  const int rank_;
  const int size_;
  std::byte* memory_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t bytes_ = 0;
  std::vector<bool> come_;
};

// Everything large, in segments. In the first phase rank q gets everybody's contribution to slice q
// and reduces a segment as soon as all have come, in the order of ranks; in the second phase whole
// slices go to everybody. all_reduce has both phases, which overlap; reduce_scatter only the first;
// all_gather and broadcast only the second.
class SegmentExchange final : public FrameExchange {
 public:
  static constexpr std::size_t kSegmentBytes = std::size_t{128} << 10;
  // A fast rank may be so many segments ahead of the slowest: memory for more is not kept.
  static constexpr std::uint32_t kWindow = 8;

  struct Plan {
    const Parts* in = nullptr;            // first phase: contributions
    const Parts* out = nullptr;           // results
    std::function<Range(int)> in_slice;   // what rank q reduces
    std::function<Range(int)> out_slice;  // where the slice of rank q lies in the results
    bool first_phase = false;
    std::vector<int> givers;  // ranks whose slices all get in the second phase
    Reduction reduce = nullptr;
  };
  // `scratch` is kept from call to call.
  SegmentExchange(FrameLinks& links, const FrameRound& round, int rank, int size, Plan plan,
                  std::vector<std::byte>& scratch);
  void start();

  bool place(int from, const FrameHeader& header, Stretches& where) override;
  void arrived(int from, const FrameHeader& header) override;
  bool awaits(int from) const override;

 private:
  std::uint32_t segments(const Range& slice) const;
  Range segment(const Range& slice, std::uint32_t index) const;
  Stretches stretches(const Parts& parts, const Range& range) const;
  std::byte* slot(int from, std::uint32_t index);
  void send_slice(int to, FrameKind kind, const Parts& parts, const Range& slice);
  void reduce_ready();
  bool gives(int rank) const;

  FrameLinks& links_;
  const FrameRound& round_;
  const int rank_;
  const int size_;
  const Plan plan_;
  const std::size_t element_;
  const std::int64_t segment_elements_;
  std::vector<std::byte>& scratch_;
  std::vector<std::uint32_t> contributed_;  // by rank: segments of the first phase that came
  std::vector<std::uint32_t> given_;        // by rank: segments of the second phase that came
  std::vector<bool> announced_;             // by rank: an arrival frame came
  std::uint32_t reduced_ = 0;               // segments of the own slice
  std::vector<const std::byte*> sources_;
};

// With whom a rank exchanges a frame of nothing beside the frames of a run, so that everybody's
// call is compared where the run itself does not see to it.
struct Meeting {
  std::vector<bool> tells;  // by rank
  std::vector<bool> hears;
};

// The frames of a run.
class RunFrames final : public FrameExchange {
 public:
  RunFrames(FrameLinks& links, const FrameRound& round, FrameRun& run, const Meeting& meeting)
      : links_(links), round_(round), run_(run), meeting_(meeting), to_hear_(meeting.hears) {}
  void start();

  bool place(int from, const FrameHeader& header, Stretches& where) override;
  void arrived(int from, const FrameHeader& header) override;
  bool awaits(int from) const override { return to_hear_[from] || run_.awaits(from); }

 private:
  void send_ready();

  FrameLinks& links_;
  const FrameRound& round_;
  FrameRun& run_;
  const Meeting& meeting_;
  std::vector<bool> to_hear_;  // by rank
};

}  // namespace shoal
