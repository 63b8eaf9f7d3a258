#include "shoal/comm/measure_board.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <thread>

#include "shoal/core/error.h"

namespace shoal {

MeasureBoard::MeasureBoard(int ranks, bool crowded) : ranks_(ranks), crowded_(crowded) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw OutOfMemory("there is no memory left to measure in");
  shared_ = new (memory) Shared;
}

MeasureBoard::~MeasureBoard() { munmap(shared_, sizeof(Shared)); }

void MeasureBoard::require_running(Deadline deadline, const char* what) const {
  if (shared_->stopped.load(std::memory_order_relaxed)) {
    throw Cancelled("another rank of the measurement has failed");
  }
  if (deadline.passed()) throw TimedOut(what, {});
}

void MeasureBoard::meet(int rank, Deadline deadline) {
  constexpr int kSpins = 4000;  // some 50 us
  constexpr std::chrono::milliseconds kSleep{10};
  const std::uint32_t mine = shared_->arrivals[rank].count.count() + 1;
  const auto arrive = [&] { shared_->arrivals[rank].count.advance_to(mine); };
  const auto await = [&](int peer) {
    Flag& arrived = shared_->arrivals[peer].count;
    for (int spins = 0; !arrived.reached(mine); ++spins) {
      if (!crowded_ && spins < kSpins) continue;
      if (const auto now = Deadline::Clock::now(); yielding_.pays(now)) {
        yielding_.yield(now);
      } else {
        arrived.sleep(mine, kSleep);
      }
      require_running(deadline, "the ranks of the measurement have not all come");
    }
  };
  if (crowded_ && rank == 0) {
    for (int peer = 1; peer < ranks_; ++peer) await(peer);
    return arrive();
  }
  arrive();
  if (crowded_) return await(0);
  for (int peer = 0; peer < ranks_; ++peer) await(peer);
}

void MeasureBoard::stop() { shared_->stopped.store(true, std::memory_order_relaxed); }

void MeasureBoard::tell_port(int port) { shared_->port.store(port, std::memory_order_release); }

int MeasureBoard::port(Deadline deadline) const {
  for (;;) {
    const int port = shared_->port.load(std::memory_order_acquire);
    if (port != 0) return port;
    require_running(deadline, "the measurement's store was not served");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void MeasureBoard::fail(int rank, const std::exception_ptr& error) {
  Failure& failure = shared_->failures[rank];
  const auto write = [&](Kind kind, const char* text) {
    std::strncpy(failure.text.data(), text, failure.text.size() - 1);
    failure.kind.store(kind, std::memory_order_release);
  };
  try {
    std::rethrow_exception(error);
  } catch (const InvalidInput& e) {
    write(Kind::invalid, e.what());
  } catch (const PeerLost& e) {
    write(Kind::lost, e.what());
  } catch (const TimedOut& e) {
    write(Kind::timed_out, e.what());
  } catch (const Cancelled& e) {
    write(Kind::cancelled, e.what());
  } catch (const std::exception& e) {
    write(Kind::other, e.what());
  }
  stop();
}

void MeasureBoard::rethrow_first() const {
  // Who lost a peer or was stopped only reports another rank's end.
  for (const Kind kind :
       {Kind::invalid, Kind::other, Kind::timed_out, Kind::lost, Kind::cancelled}) {
    for (int rank = 0; rank < ranks_; ++rank) {
      const Failure& failure = shared_->failures[rank];
      if (failure.kind.load(std::memory_order_acquire) != kind) continue;
      const std::string text = failure.text.data();
      if (kind == Kind::invalid) throw InvalidInput(text);
      if (kind == Kind::timed_out) throw TimedOut(text, std::vector<int>{});
      if (kind == Kind::lost) throw PeerLost(text, {});
      if (kind == Kind::cancelled) throw Cancelled(text);
      throw Error(text);
    }
  }
}

}  // namespace shoal
