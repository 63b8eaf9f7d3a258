#include "shoal/comm/hybrid_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "shoal/comm/call.h"
#include "shoal/core/check.h"
#include "shoal/core/error.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

double time_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t elements_of(std::span<const Buffer> parts) {
  std::size_t elements = 0;
  for (const Buffer& part : parts) elements += part.elements;
  return elements;
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
HybridGroup::Split HybridGroup::split(std::span<const Buffer> parts) const {
  Split halves;
  const std::size_t elements = elements_of(parts);
  if (parts.empty()) return halves;
  const std::size_t element = size_of(parts[0].type);
  const auto bytes = static_cast<double>(elements * element);
  const std::size_t line = std::max<std::size_t>(1, 64 / element);
  const double share = share_of_first(costs_[0], costs_[1], bytes);
  const auto lines = static_cast<std::size_t>(
      std::llround(share * static_cast<double>(elements) / static_cast<double>(line)));
  std::size_t left = share >= 1 ? elements : std::min(elements, lines * line);
  for (const Buffer& part : parts) {
    const std::size_t here = std::min(left, part.elements);
    left -= here;
    if (here > 0) halves[0].push_back({part.data, here, part.type});
    if (here < part.elements) {
      halves[1].push_back({part.data + here * element, part.elements - here, part.type});
    }
  }
  return halves;
}

void HybridGroup::all_reduce(std::span<const Buffer> parts, ReduceOp op, Deadline deadline) {
  Group& first = channel();
  const Split halves = split(parts);
  last_seconds_ = {};
  // Nothing to split, or a mistake of the caller that one channel finds as well.
  if (halves[1].empty() || halves[0].empty()) {
    const auto start = Clock::now();
    if (!halves[1].empty()) {
      second_.run([&](Group& group, Deadline limit) { group.all_reduce(parts, op, limit); },
                  deadline);
    } else {
      first.all_reduce(parts, op, deadline);
    }
    last_seconds_[halves[1].empty() ? 0 : 1] = time_since(start);
    return;
  }
  reduce_both(halves, op, deadline);
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
  } catch (const Error&) {
    error = std::current_exception();
  }
  try {
    other.wait();
  } catch (const Error&) {
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
  constexpr double kLongEnough = 0.04;  // seconds, to see through the noise of a network
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
void HybridGroup::transfer(const Call& call, std::span<const ConstBuffer> in,
                           std::span<const Buffer> out, Deadline deadline) {
  transfer_of(channel(), call, in, out, deadline);
}

}  // namespace shoal
