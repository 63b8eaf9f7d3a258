// The memory through which the ranks of a group on one host exchange data, and its layout:
//
//   header | state of rank 0..n-1 | small slots | notices | staging | channels | arenas
//
// The same bytes serve threads (memory of the process) and processes (a memory file that every
// member maps). Pages are touched when first used, so large channels cost nothing until then.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "shoal/comm/flag.h"

namespace shoal {

using RegionToken = std::array<std::uint8_t, 32>;

// How a rank's membership ended, written by itself.
enum class Ending : std::uint32_t {
  none,       // still here
  left,       // destroyed its group
  peer_lost,  // gave up because of a dead rank
  timed_out,  // gave up waiting for a rank
  mismatch,   // made or saw a call that does not fit the others'
  cancelled,  // abort()
};

// One step of one rank. Payloads that fit travel in the cache line of the flag that announces them.
struct alignas(64) StepLine {
  static constexpr std::size_t kInlineBytes = 48;
  Flag arrived;
  std::uint32_t unused = 0;
  std::uint64_t calls = 0;  // all calls so far in one word: equal exactly when they are
  std::byte payload[kInlineBytes];
};
static_assert(sizeof(StepLine) == 64);

struct alignas(128) RankState {
  // Step s is in line s mod kLines. Whoever publishes step s has read what it needs of the steps
  // before, so line and notice of step s + kLines are written once all ranks have published s + 1.
  static constexpr std::uint32_t kLines = 32;
  StepLine steps[kLines];
  alignas(64) Flag done;  // chunks that this rank has finished with
  // The last calls that this rank made (Call::packed(), by their number mod kCallsKept), for
  // whoever finds that calls differ. A rank is at most kLines calls ahead of another.
  static constexpr std::uint64_t kCallsKept = 128;
  alignas(64) std::atomic<std::uint64_t> made[kCallsKept] = {};
  // Rarely written, rarely read. What lies below `ending` is written before it.
  static constexpr std::size_t kReasonBytes = 1000;
  alignas(64) std::atomic<std::uint32_t> ending{0};  // Ending
  std::atomic<std::int32_t> blamed{-1};              // the rank because of which
  std::atomic<std::int32_t> joined{0};
  // For whom this rank waits (a RankSet), while it sleeps; renewed at each look around.
  std::atomic<std::uint64_t> awaited[2] = {0, 0};
  std::atomic<std::int64_t> looked_around_ms{0};  // by the clock of the host; 0: never
  std::uint32_t reason_bytes = 0;
  char reason[kReasonBytes];  // what the rank's own error says, where others are to say the same
};

// One direction between two ranks: a ring of bytes, written by one and read by the other. Positions
// count units of 64 bytes since the beginning.
struct alignas(128) ChannelState {
  Flag written;
  alignas(64) Flag read;
};

struct RegionShape {
  static constexpr std::size_t kSmallBytes = 2048;       // one-shot up to here
  static constexpr std::size_t kNoticeBytes = 256;       // beside each step line
  static constexpr std::size_t kChunkBytes = 512 << 10;  // staging, twice per rank
  int size = 1;
  std::size_t channel_bytes = std::size_t{1} << 20;
  std::size_t arena_bytes = 0;  // of each rank, for buffers that all can reach

  static RegionShape of(int size);
  std::size_t states_at() const;
  std::size_t small_at() const;
  std::size_t notices_at() const;
  std::size_t staging_at() const;
  std::size_t channel_states_at() const;
  std::size_t channels_at() const;
  std::size_t arenas_at() const;
  // Ranks use the same places of their arenas at once. Addresses that differ in few high bits alone
  // push each other out of the first-level cache of Zen cores (its ways are predicted from a hash
  // of bits 12 to 27): four times slower. So arenas lie 17 pages apart beyond their size.
  std::size_t arena_stride() const { return arena_bytes + (arena_bytes != 0 ? 17 * 4096 : 0); }
  std::size_t bytes() const;
  // One for the collectives and one for the messages of every ordered pair of ranks.
  int channels() const { return 2 * size * size; }
  int collective_channel(int from, int to) const { return from * size + to; }
  int message_channel(int from, int to) const { return (size + from) * size + to; }
};

// Owns one mapping of a region. Thread safe.
class Region {
 public:
  // In this process only.
  static std::shared_ptr<Region> in_process(int size);
  // In a memory file; hand file() to the other processes.
  static std::shared_ptr<Region> in_file(int size, const RegionToken& token);
  // Maps a memory file that another process made. Throws InvalidInput when it is not the region of
  // `token` and `size`. Takes the file.
  static std::shared_ptr<Region> from_file(int file, int size, const RegionToken& token);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  const RegionShape& shape() const { return shape_; }
  int file() const { return file_; }
  void close_file();  // the mapping stays

  RankState& state(int rank) { return states_[rank]; }
  StepLine& line(int rank, std::uint32_t step) {
    return states_[rank].steps[step % RankState::kLines];
  }
  std::byte* small(int rank, int parity) {
    return base_ + shape_.small_at() +
           (static_cast<std::size_t>(rank) * 2 + parity) * RegionShape::kSmallBytes;
  }
  std::byte* notice(int rank, std::uint32_t step) {
    return base_ + shape_.notices_at() +
           (static_cast<std::size_t>(rank) * RankState::kLines + step % RankState::kLines) *
               RegionShape::kNoticeBytes;
  }
  std::byte* staging(int rank, int parity) {
    return base_ + shape_.staging_at() +
           (static_cast<std::size_t>(rank) * 2 + parity) * RegionShape::kChunkBytes;
  }
  ChannelState& channel(int index) { return channel_states_[index]; }
  std::byte* channel_memory(int index) {
    return base_ + shape_.channels_at() + static_cast<std::size_t>(index) * shape_.channel_bytes;
  }
  std::byte* arena(int rank) {
    return base_ + shape_.arenas_at() + static_cast<std::size_t>(rank) * shape_.arena_stride();
  }

 private:
  Region(int file, std::byte* base, RegionShape shape);
  void make(const RegionToken& token);
  template <typename Make>
  static std::shared_ptr<Region> with_or_without_arenas(int size, const Make& make);

  int file_;
  std::byte* base_;
  RegionShape shape_;
  RankState* states_;
  ChannelState* channel_states_;
};

}  // namespace shoal
