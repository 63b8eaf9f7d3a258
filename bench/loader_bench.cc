// How fast samples come: opening Fashion-MNIST, reading it at batch 128 with 0, 1 and 2 threads,
// and the made-up data set. Prints medians of five repetitions and their spread.
//
//   loader_bench [FOLDER]      the folder of the Fashion-MNIST files; default: Debian's
//
// One thread reads everything and does nothing else, so "0 threads" is the speed on one core.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include "shoal/data/loader.h"
#include "shoal/data/open_data.h"
#include "shoal/data/sampler.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRepetitions = 5;
constexpr std::int64_t kBatch = 128;

// Time on the clock, and of all threads of this process on their cores: on a busy machine the
// second says what the first would be on a quiet one.
struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Cost cost_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  work();
  return {.seconds = std::chrono::duration<double>(Clock::now() - start).count(),
          .cpu_seconds = cpu_seconds() - cpu_start};
}

// Work per second and per second of a core; with `amount` 0 the seconds themselves.
void report(const std::string& name, double amount, const std::function<void()>& work) {
  std::array<double, kRepetitions> values{};
  std::array<double, kRepetitions> cpu_values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Cost cost = cost_of(work);
    values[i] = amount > 0 ? amount / cost.seconds : cost.seconds;
    cpu_values[i] = amount > 0 ? amount / cost.cpu_seconds : cost.cpu_seconds;
  }
  std::sort(values.begin(), values.end());
  std::sort(cpu_values.begin(), cpu_values.end());
  const int digits = amount > 0 ? 0 : 3;
  fmt::print("{:<40} {:>10.{}f} {:<9} {:>10.{}f} to {:>8.{}f} {:>13.{}f}\n", name,
             values[kRepetitions / 2], digits, amount > 0 ? "samples/s" : "s", values.front(),
             digits, values.back(), digits, cpu_values[kRepetitions / 2], digits);
}

void read_epochs(const shoal::Dataset& data, int threads, int epochs) {
  const shoal::Sampler sampler(data.size(), {.batch = kBatch, .seed = 1});
  const shoal::Range steps{0, epochs * sampler.batches_per_epoch()};
  shoal::Loader loader(data, shoal::training_plan(sampler, 1, 0), steps,
                       {.threads = threads, .prefetch = 4});
  const auto deadline = shoal::Deadline::after(std::chrono::minutes(5));
  while (loader.next(deadline)) {
  }
}

void run(const std::string& folder) {
  shoal::DataOptions options;
  options.path = folder;
  fmt::print("{:<40} {:>20} {:>22} {:>13}\n", "batch 128", "median of 5", "spread", "per core");
  shoal::DataSplits splits;
  report("open fashion-mnist, whole", 0, [&] { splits = shoal::open_data(options, 1); });
  constexpr int kEpochs = 4;
  const auto samples = static_cast<double>(kEpochs * splits.train->size());
  for (const int threads : {0, 1, 2}) {
    report(fmt::format("read fashion-mnist, {} threads", threads), samples,
           [&] { read_epochs(*splits.train, threads, kEpochs); });
  }
  options.validation = 0.1;
  splits = shoal::open_data(options, 1);
  report("read fashion-mnist, 0 threads, 90 % of it",
         kEpochs * static_cast<double>(splits.train->size()),
         [&] { read_epochs(*splits.train, 0, kEpochs); });
  shoal::DataOptions random;
  random.name = shoal::DataName::random;
  random.size = 60'000;
  splits = shoal::open_data(random, 1);
  report("read random 1x28x28, 0 threads", static_cast<double>(splits.train->size()),
         [&] { read_epochs(*splits.train, 0, 1); });
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run(count > 1 ? arguments[1] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
