// Frames as messages of MPI: header and payload in one. A frame is copied on its way in and out, so
// that a call that fails leaves MPI nothing of the caller's memory. MPI sees to the bytes: there
// are no checksums. There is nothing to sleep on either: whoever waits has to look again and again.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "shoal/comm/frame_stream.h"
#include "shoal/comm/mpi_process.h"

namespace shoal {

// Memory that MPI reads or writes until its request is done.
struct MpiMemory {
  std::unique_ptr<std::byte[]> bytes;
  MpiRequest request;

  bool is_free(MpiCalls& calls) {
    std::size_t ignored = 0;
    return calls.test(request, ignored) != MpiCalls::State::under_way;
  }
};

struct MpiPlace {
  int rank = 0;  // MPI's, of the peer
  int tag = 0;
};

// Holds up to kMostUnderWay messages.
class MpiSender final : public FrameSender {
 public:
  static constexpr std::size_t kMostUnderWay = 4;

  MpiSender(std::shared_ptr<MpiProcess> process, MpiPlace to, const TearBytes& tear)
      : process_(std::move(process)), to_(to), tearing_(tear) {}
  ~MpiSender() override;

  void queue(const FrameHeader& header, Stretches payload) override;
  // Until the last message is done, MPI may need this thread to move it.
  bool empty() const override { return frames_.empty() && under_way_.empty(); }
  bool is_handed_over() const override { return frames_.empty(); }
  Flow flush() override;
  void drop_unbegun() override { frames_.clear(); }
  short events_to_await() override;
  bool await_room(Deadline deadline) override;

 private:
  struct Frame {
    FrameHeader header;
    Stretches payload;
  };
  bool take_done();  // whether there was any
  void begin(const Frame& frame);

  const std::shared_ptr<MpiProcess> process_;  // shared by all streams of the process
  const MpiPlace to_;
  Tearing tearing_;
  std::deque<Frame> frames_;
  std::deque<MpiMemory> under_way_;
  std::vector<std::unique_ptr<std::byte[]>> spare_;
  bool failed_ = false;
};

class MpiReceiver final : public FrameReceiver {
 public:
  MpiReceiver(std::shared_ptr<MpiProcess> process, MpiPlace from, const TearBytes& tear);
  ~MpiReceiver() override;

  Event read() override;
  const FrameHeader& header() const override { return inbox_->header(); }
  void place(Stretches where) override;
  void next() override;
  bool can_go_on() override;
  short events_to_await() override;
  void look_at_descriptor() override {}

 private:
  // Two messages are awaited, while none has come.
  class Inbox {
   public:
    Inbox(MpiCalls& calls, MpiPlace from);
    Event look();  // anything but complete
    const FrameHeader& header() const { return header_; }
    const std::byte* payload() const { return memories_[next_].bytes.get() + sizeof header_; }
    void next();
    // Reads and forgets, up to the sender's farewell or, when it is the last time, anything.
    bool is_free(bool is_last_time);

   private:
    void post(MpiMemory& memory);

    MpiCalls& calls_;  // of the process, which outlives this
    const MpiPlace from_;
    std::array<MpiMemory, 2> memories_;
    std::size_t next_ = 0;  // of memories_
    FrameHeader header_{};
    bool cancelled_ = false;
  };

  const std::shared_ptr<MpiProcess> process_;  // shared by all streams of the process
  Tearing tearing_;
  std::unique_ptr<Inbox> inbox_;
  Event state_ = Event::none;  // with the message at hand
};

}  // namespace shoal
