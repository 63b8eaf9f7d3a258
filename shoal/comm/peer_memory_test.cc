// Memory of another process read where it lies; and ranks that hand it out although they fail.
#include "shoal/comm/peer_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "shoal/comm/test_processes.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr std::size_t kLeast = 4096;
constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

// Rank 0 in this process and rank 1 in a forked one, over one region.
class TwoProcesses : public testing::Test {
 protected:
  // The other process ends with the value of `body`, given its PeerMemory once both have been made.
  void start_other(const std::function<int(PeerMemory&)>& body) {
    other_ = processes_.start([this, body] {
      PeerMemory peers(region_, 1, {parent_, static_cast<int>(getpid())}, kLeast);
      meet(1);
      return body(peers);
    });
  }
  std::unique_ptr<PeerMemory> own(std::vector<int> processes) {
    auto peers = std::make_unique<PeerMemory>(region_, 0, std::move(processes), kLeast);
    meet(0);
    return peers;
  }
  void meet(int rank) {
    const std::uint32_t step = ++step_;
    region_->state(rank).done.advance_to(step);
    Flag& others = region_->state(1 - rank).done;
    const Deadline deadline = soon();
    while (!others.reached(step) && !deadline.passed()) others.sleep(step, milliseconds(100));
  }

  const int parent_ = static_cast<int>(getpid());
  const std::shared_ptr<Region> region_ = Region::in_file(2, RegionToken{7});
  Processes processes_;
  pid_t other_ = 0;
  std::uint32_t step_ = 0;
};

// Why this system does not let one process read another's memory; empty when it does.
std::string refusal(Processes& processes) {
  static const int word = 7;
  const pid_t other = processes.start([] {
    pause();
    return 0;
  });
  int read = 0;
  const iovec local{&read, sizeof read};
  const iovec remote{const_cast<int*>(&word), sizeof word};
  if (process_vm_readv(other, &local, 1, &remote, 1, 0) == sizeof read) return "";
  return std::string("process_vm_readv: ") + std::strerror(errno);
}

TEST_F(TwoProcesses, IsReadWhereItLies) {
  if (const std::string why = refusal(processes_); !why.empty()) GTEST_SKIP() << why;
  std::vector<int> values(300000, 0);  // at the same address in both, with other values
  std::vector<int> read(values.size(), 0);
  start_other([&](PeerMemory& peers) {
    std::fill(values.begin(), values.end(), 5);
    peers.try_all();
    meet(1);
    peers.conclude();
    meet(1);
    return peers.least_bytes() == kLeast ? 0 : 1;
  });
  std::fill(values.begin(), values.end(), 3);
  const auto peers = own({parent_, other_});
  peers->try_all();
  meet(0);
  EXPECT_EQ(peers->least_bytes(), kNever);
  peers->conclude();
  EXPECT_EQ(peers->least_bytes(), kLeast);
  const auto address = reinterpret_cast<std::uintptr_t>(values.data());
  auto* const to = reinterpret_cast<std::byte*>(read.data());
  const std::size_t bytes = values.size() * sizeof values[0];
  EXPECT_EQ(peers->read(1, address, to, bytes), 0);
  EXPECT_EQ(read, std::vector<int>(values.size(), 5));
  EXPECT_EQ(peers->read(1, 4096, to, bytes), EFAULT);
  EXPECT_TRUE(peers->can_lend(to, bytes));
  EXPECT_FALSE(peers->can_lend(reinterpret_cast<const std::byte*>(4096), bytes));
  meet(0);
  EXPECT_EQ(processes_.end_of(other_), 0);
  EXPECT_EQ(peers->read(1, address, to, bytes), ESRCH);
}

// A number that means another process, or none, is found out before anything is read from there.
TEST_F(TwoProcesses, AllDoWithoutWhenOneMust) {
  for (const bool is_numbered : {false, true}) {
    start_other([&](PeerMemory& peers) {
      peers.try_all();
      meet(1);
      peers.conclude();
      meet(1);
      return peers.least_bytes() == kNever ? 0 : 1;
    });
    const pid_t stranger = processes_.start([] {
      pause();
      return 0;
    });
    const auto peers = own({parent_, is_numbered ? static_cast<int>(stranger) : 0});
    peers->try_all();
    meet(0);
    peers->conclude();
    EXPECT_EQ(peers->least_bytes(), kNever);
    meet(0);
    EXPECT_EQ(processes_.end_of(other_), 0);
  }
}

// Memory of pages that are gone when they are given back.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes),
        memory_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~Pages() { give_back(); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  void give_back() {
    if (memory_ != nullptr) munmap(memory_, bytes_);
    memory_ = nullptr;
  }
  Buffer all() const {
    return {static_cast<std::byte*>(memory_), bytes_ / sizeof(float), ElementType::float32};
  }

 private:
  std::size_t bytes_;
  void* memory_;
};

class LentMemory : public testing::TestWithParam<bool> {};

// Its memory may hold anything by then, or be gone.
TEST_P(LentMemory, OfARankThatFailedIsNoResult) {
  const Watchdog watchdog("a rank that lends memory and fails");
  std::atomic<bool> failed{false};
  with_group(2, {}, [&](Group& group) {
    constexpr std::size_t kBytes = std::size_t{1} << 20;
    std::vector<float> out(2 * kBytes / sizeof(float));
    const auto shared = GetParam() ? group.allocate(kBytes) : nullptr;
    Pages pages(kBytes);
    Buffer in = pages.all();
    if (shared) in.data = shared.get();
    if (group.rank() == 0) {
      EXPECT_THROW(group.all_gather(in, buffer(std::span(out)), Deadline::after(milliseconds(100))),
                   TimedOut);
      pages.give_back();
      failed = true;
      return;
    }
    while (!failed) std::this_thread::sleep_for(milliseconds(1));
    try {
      group.all_gather(in, buffer(std::span(out)), soon());
      ADD_FAILURE() << "gathered from a rank that had failed";
    } catch (const PeerLost& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 0"));
      EXPECT_THAT(error.what(), HasSubstr("all_gather"));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, LentMemory, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "in_an_arena" : "ordinary");
});

}  // namespace
}  // namespace shoal::test
