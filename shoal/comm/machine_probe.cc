#include "shoal/comm/machine_probe.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "shoal/comm/timed_calls.h"
#include "shoal/core/cores.h"
#include "shoal/core/statistics.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct alignas(128) Ball {
  std::atomic<std::uint32_t> number{0};
};

void await(const Ball& ball, std::uint32_t number) {
  // Gives way now and then: somebody else may be using the other core.
  for (int spins = 1; ball.number.load(std::memory_order_acquire) != number; ++spins) {
    if (spins % 100000 == 0) sched_yield();
  }
}

double ping(int first_core, int second_core, int batches) {
  constexpr std::uint32_t kRoundTrips = 100;
  Ball there, back;
  std::vector<double> ways;
  {
    const std::jthread second([&] {
      pin_this_thread({second_core});
      for (std::uint32_t i = 1; i <= static_cast<std::uint32_t>(batches) * kRoundTrips; ++i) {
        await(there, i);
        back.number.store(i, std::memory_order_release);
      }
    });
    const std::jthread first([&] {
      pin_this_thread({first_core});
      std::uint32_t i = 0;
      for (int batch = 0; batch < batches; ++batch) {
        const auto start = Clock::now();
        for (std::uint32_t trip = 0; trip < kRoundTrips; ++trip) {
          there.number.store(++i, std::memory_order_release);
          await(back, i);
        }
        ways.push_back(seconds_since(start) / (2 * kRoundTrips));
      }
    });
  }
  return median_of(ways);
}

double copy_speed() {
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  const auto from = prefaulted_memory(kBytes);
  const auto to = prefaulted_memory(kBytes);
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    std::memcpy(to.get(), from.get(), kBytes);
    times.push_back(seconds_since(start));
  }
  return kBytes / median_of(times);
}

double clock_cost() {
  constexpr int kReadings = 10000;
  const auto start = Clock::now();
  auto last = start;
  for (int i = 0; i < kReadings; ++i) last = Clock::now();
  return std::chrono::duration<double>(last - start).count() / kReadings;
}

}  // namespace

std::string_view distance_of(double ping_seconds) {
  if (ping_seconds < 100e-9) return "near";
  return ping_seconds > 150e-9 ? "far" : "between";
}

std::optional<double> probe_ping() {
  const std::vector<int> cores = allowed_cores();
  if (cores.size() < 2) return std::nullopt;
  return ping(cores[0], cores[1], 30);
}

MachineProbe probe_machine() {
  MachineProbe probe;
  const std::vector<int> cores = allowed_cores();
  if (cores.size() > 1) probe.ping_seconds = ping(cores[0], cores[1], 200);
  probe.copied_per_second = copy_speed();
  probe.clock_seconds = clock_cost();
  return probe;
}

}  // namespace shoal
