// What ranks hand to each other without sums: gather, scatter, all-to-all. Every pair directly:
// 1 step, each byte sent once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shoal/comm/frame_run.h"
#include "shoal/comm/group.h"

namespace shoal {

class TransferRun final : public FrameRun {
 public:
  // in[q] goes to rank q, and out[q] takes what rank q gives; both by rank, as many as the group
  // has. Copies what a rank gives itself. Borrows the memory, not the lists.
  TransferRun(int rank, std::span<const ConstBuffer> in, std::span<const Buffer> out);

  void send_ready(const Send& send) override;
  Stretches place(int from, std::uint32_t number) const override;
  void arrived(int from, std::uint32_t number) override;
  bool awaits(int from) const override { return incoming_[from].left() != 0; }
  void finish() override {}

 private:
  struct Stream {
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
    std::uint32_t next = 0;  // frame

    std::size_t at() const { return next * kSegmentBytes; }
    std::size_t left() const { return at() < bytes ? bytes - at() : 0; }
    std::size_t here() const { return left() < kSegmentBytes ? left() : kSegmentBytes; }
  };

  const int rank_;
  std::vector<Stream> outgoing_;  // by rank
  std::vector<Stream> incoming_;
};

}  // namespace shoal
