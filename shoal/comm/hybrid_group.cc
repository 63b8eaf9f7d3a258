#include "shoal/comm/hybrid_group.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "shoal/comm/checks.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

double time_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of two times over one channel. A channel whose time does not grow is as fast as can be told.
ChannelCost fitted(double small_bytes, double small, double large_bytes, double large) {
  const double per_byte = std::max(large - small, 1e-3 * large) / (large_bytes - small_bytes);
  return {std::max(0.0, small - small_bytes * per_byte), 1 / per_byte};
}

}  // namespace

double share_of_first(const ChannelCost& first, const ChannelCost& second, double bytes) {
  const double alone_first = bytes / first.bytes_per_second;
  const double alone_second = bytes / second.bytes_per_second;
  const double both = alone_first + alone_second;
  if (both <= 0) return 1;
  const double share = (alone_second + second.fixed_seconds - first.fixed_seconds) / both;
  return std::clamp(share, 0.0, 1.0);
}

HybridGroup::HybridGroup(std::unique_ptr<Group> first, std::unique_ptr<Group> second,
                         std::shared_ptr<GroupRegistry> registry)
    : first_(std::move(first)),
      second_(std::move(second)),
      registered_(std::move(registry), *this) {
  check_equal(first_->size(), second_.size(), "ranks of both channels");
  check_equal(first_->rank(), second_.rank(), "the own rank in both channels");
}

HybridGroup::~HybridGroup() = default;

// A share is rounded to whole cache lines, so that neither part begins within one.
HybridGroup::Split HybridGroup::split(const Parts& parts) const {
  const std::size_t line = std::max<std::size_t>(1, 64 / size_of(parts.type()));
  const double share = share_of_first(costs_[0], costs_[1], static_cast<double>(parts.bytes()));
  const auto lines = static_cast<std::size_t>(
      std::llround(share * static_cast<double>(parts.elements()) / static_cast<double>(line)));
  const std::size_t cut = share >= 1 ? parts.elements() : std::min(parts.elements(), lines * line);
  Split halves;
  const auto fill = [&](std::vector<Buffer>& half, std::size_t begin, std::size_t count) {
    parts.visit(begin, count, [&](std::byte* data, std::size_t here, std::size_t) {
      half.push_back({data, here, parts.type()});
    });
  };
  fill(halves[0], 0, cut);
  fill(halves[1], cut, parts.elements() - cut);
  return halves;
}

void HybridGroup::all_reduce(std::span<const Buffer> buffers, ReduceOp op, Deadline deadline) {
  Group& first = channel();
  const Parts parts(buffers);
  check_reduction(Operation::all_reduce, parts.type(), op);
  const Split halves = split(parts);
  last_seconds_ = {};
  if (!halves[0].empty() && !halves[1].empty()) return reduce_both(halves, op, deadline);
  const auto start = Clock::now();
  const bool over_second = !halves[1].empty();
  if (over_second) {
    second_.run([&](Group& second, Deadline limit) { second.all_reduce(buffers, op, limit); },
                deadline);
  } else {
    first.all_reduce(buffers, op, deadline);
  }
  last_seconds_[over_second ? 1 : 0] = time_since(start);
}

// A channel that fails does not stop the other: whatever it met, the other meets or does not need,
// and each names who is to blame. The first channel's error counts.
void HybridGroup::reduce_both(const Split& halves, ReduceOp op, Deadline deadline) {
  const auto start = Clock::now();
  const Handle other = second_.start(
      "all_reduce",
      [&](Group& group, Deadline limit) {
        group.all_reduce(halves[1], op, limit);
        last_seconds_[1] = time_since(start);
      },
      deadline);
  std::exception_ptr error;
  try {
    first_->all_reduce(halves[0], op, deadline);
    last_seconds_[0] = time_since(start);
  } catch (...) {  // whatever it is: the other works on memory of ours
    error = std::current_exception();
  }
  try {
    other.wait();
  } catch (...) {
    if (!error) error = std::current_exception();
  }
  if (!error) return;
  spent_.set(error);
  std::rethrow_exception(error);
}

// What all-reduces of these sizes take at best, side by side, on the slowest rank.
std::array<double, 2> HybridGroup::time_both(const std::array<std::size_t, 2>& bytes,
                                             Deadline deadline) {
  constexpr int kCalls = 3;
  std::vector<float> values((bytes[0] + bytes[1]) / sizeof(float));
  const std::size_t cut = bytes[0] / sizeof(float);
  Split halves;
  halves[0] = {buffer(std::span(values).first(cut))};
  halves[1] = {buffer(std::span(values).subspan(cut))};
  std::array<double, 2> best{1e9, 1e9};
  for (int call = 0; call < kCalls; ++call) {
    barrier(deadline);
    reduce_both(halves, ReduceOp::sum, deadline);
    for (std::size_t channel = 0; channel < 2; ++channel) {
      best[channel] = std::min(best[channel], last_seconds_[channel]);
    }
  }
  const Buffer all = {reinterpret_cast<std::byte*>(best.data()), 2, ElementType::float64};
  first_->all_reduce({&all, 1}, ReduceOp::max, deadline);
  return best;
}

void HybridGroup::measure(Deadline deadline) {
  constexpr std::size_t kSmall = std::size_t{16} << 10;
  constexpr std::size_t kMost = std::size_t{16} << 20;
  constexpr double kLongEnough = 0.1;  // seconds, to see through the noise of a network
  const std::array<double, 2> small = time_both({kSmall, kSmall}, deadline);
  std::array<std::size_t, 2> bytes{kSmall * 32, kSmall * 32};
  for (bool again = true; again;) {
    const std::array<double, 2> large = time_both(bytes, deadline);
    again = false;
    for (std::size_t channel = 0; channel < 2; ++channel) {
      costs_[channel] = fitted(static_cast<double>(kSmall), small[channel],
                               static_cast<double>(bytes[channel]), large[channel]);
      if (large[channel] >= kLongEnough || bytes[channel] >= kMost) continue;
      bytes[channel] *= 4;
      again = true;
    }
  }
}

void HybridGroup::broadcast(Buffer data, int root, Deadline deadline) {
  channel().broadcast(data, root, deadline);
}
void HybridGroup::all_gather(ConstBuffer in, Buffer out, Deadline deadline) {
  channel().all_gather(in, out, deadline);
}
void HybridGroup::reduce_scatter(ConstBuffer in, Buffer out, ReduceOp op, Deadline deadline) {
  channel().reduce_scatter(in, out, op, deadline);
}
void HybridGroup::reduce(ConstBuffer in, Buffer out, int root, ReduceOp op, Deadline deadline) {
  channel().reduce(in, out, root, op, deadline);
}
void HybridGroup::barrier(Deadline deadline) { channel().barrier(deadline); }
void HybridGroup::send(ConstBuffer data, int to, Deadline deadline) {
  channel().send(data, to, deadline);
}
void HybridGroup::receive(Buffer data, int from, Deadline deadline) {
  channel().receive(data, from, deadline);
}
bool HybridGroup::has_message(int from) { return first_->has_message(from); }
std::shared_ptr<std::byte> HybridGroup::allocate(std::size_t bytes) {
  return first_->allocate(bytes);
}
void HybridGroup::abort() {
  first_->abort();
  second_.abort();
}
std::uint64_t HybridGroup::bytes_sent() const {
  return first_->bytes_sent() + second_.group().bytes_sent();
}
std::uint64_t HybridGroup::bytes_between_hosts() const {
  return first_->bytes_between_hosts() + second_.group().bytes_between_hosts();
}
void HybridGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                           std::span<const Buffer> out, Deadline deadline) {
  transfer_of(channel(), call, in, out, deadline);
}

}  // namespace shoal
