// The barrier that says who is missing. Its messages are worded as Gloo's, which people look for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "shoal/core/error.h"
#include "shoal/tensor/c10d_backend.h"

namespace shoal {
namespace {

// Beyond what c10d, whose tags are ints, can name.
constexpr std::int64_t kHere = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kVerdict = kHere - 1;

ConstBuffer byte_of(const std::uint8_t& value) {
  return {reinterpret_cast<const std::byte*>(&value), 1, ElementType::uint8};
}
Buffer byte_of(std::uint8_t& value) {
  return {reinterpret_cast<std::byte*>(&value), 1, ElementType::uint8};
}

// A byte that outlives a wait which gives up: the message may still come.
struct Awaited {
  std::shared_ptr<std::uint8_t> value = std::make_shared<std::uint8_t>(0);
  Handle handle;
};

Awaited receive_byte(AsyncGroup& group, int from, std::int64_t tag) {
  Awaited awaited;
  awaited.handle = group.receive(byte_of(*awaited.value), from, tag, Deadline::never());
  awaited.handle.then([value = awaited.value] {});
  return awaited;
}

bool came(const Awaited& awaited, Deadline end) {
  try {
    awaited.handle.wait(end);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void C10dBackend::monitoredBarrier(const c10d::BarrierOptions& options, bool wait_all_ranks) {
  if (size_ == 1) return;
  const auto timeout = options.timeout.count() < 0 ? options_->timeout : options.timeout;
  const Deadline end = Deadline::after(timeout);
  if (rank_ == 0) {
    lead_barrier(end, timeout, wait_all_ranks);
  } else {
    follow_barrier(end);
  }
}

void C10dBackend::lead_barrier(Deadline end, std::chrono::milliseconds timeout,
                               bool wait_all_ranks) {
  std::vector<Awaited> awaited;
  for (int rank = 1; rank < size_; ++rank) awaited.push_back(receive_byte(group(), rank, kHere));
  std::vector<int> absent;
  bool too_late = false;
  for (int rank = 1; rank < size_ && !too_late && (absent.empty() || wait_all_ranks); ++rank) {
    // Rank 0 itself may have been called without any time.
    too_late = timeout.count() == 0 && !awaited[rank - 1].handle.over();
    if (!too_late && !came(awaited[rank - 1], end)) absent.push_back(rank);
  }
  const std::uint8_t passed = absent.empty() && !too_late ? 1 : 0;
  for (int rank = 1; rank < size_; ++rank) {
    if (awaited[rank - 1].handle.over() && !awaited[rank - 1].handle.error()) {
      group().send(byte_of(passed), rank, kVerdict, end).wait();
    }
  }
  TORCH_CHECK(!too_late, "Rank 0 timed out in monitoredBarrier after ", timeout.count(), " ms.");
  const std::string late = fmt::format("failed to pass monitoredBarrier in {} ms", timeout.count());
  TORCH_CHECK(absent.size() < 2, "Ranks ", fmt::format("{}", fmt::join(absent, ", ")), " ", late);
  TORCH_CHECK(absent.empty(), "[Rank 0]: Rank ", absent[0], " ", late);
}

void C10dBackend::follow_barrier(Deadline end) {
  const std::uint8_t here = 1;
  const Awaited verdict = receive_byte(group(), 0, kVerdict);
  bool passed = false;
  try {
    group().send(byte_of(here), 0, kHere, end).wait();
    passed = came(verdict, end) && *verdict.value == 1;
  } catch (const Error&) {
    passed = false;
  }
  TORCH_CHECK(passed, "Rank ", rank_,
              " successfully reached monitoredBarrier, but received errors ",
              "while waiting for send/recv from rank 0. Please check rank 0 logs for faulty rank.");
}

}  // namespace shoal
