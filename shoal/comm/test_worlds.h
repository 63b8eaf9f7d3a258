// What the tests of groups share: worlds of threads under a watchdog, and inputs by rank.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "shoal/comm/fake_mpi.h"
#include "shoal/comm/topology.h"
#include "shoal/comm/world.h"
#include "shoal/core/error.h"

namespace shoal::test {

// Far beyond what a working test needs, also on a machine that others load and under sanitizers.
inline Deadline soon() { return Deadline::after(std::chrono::seconds(90)); }

// What an environment variable asks for. Defined in injected_faults_test.cc.
std::uint64_t number_from(const char* variable, std::uint64_t otherwise);

// A hung thread cannot be unwound: after this long the program says so and ends.
class Watchdog {
 public:
  explicit Watchdog(std::string what, std::chrono::seconds limit = std::chrono::seconds(100))
      : thread_([this, what = std::move(what), limit](const std::stop_token&) {
          std::unique_lock lock(mutex_);
          if (over_.wait_for(lock, limit, [&] { return done_; })) return;
          std::fprintf(stderr, "watchdog: %s still runs after %lld s\n", what.c_str(),
                       static_cast<long long>(limit.count()));
          std::abort();
        }) {}
  ~Watchdog() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    over_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::jthread thread_;
};

// The first half of the ranks on one host and the rest on another, where hosts matter.
inline int ranks_per_host(int size) { return (size + 1) / 2; }
inline NetworkLayout on_two_hosts(int size) {
  NetworkLayout layout;
  for (int rank = 0; rank < size; ++rank) layout.hosts.push_back(rank / ranks_per_host(size));
  return layout;
}
inline CommOptions options_of(Engine engine, Algorithm algorithm, int size) {
  CommOptions options;
  options.engine = engine;
  options.algorithm = algorithm;
  options.ranks_per_host = ranks_per_host(size);
  if (engine == Engine::mpi) {
    const auto mpi = std::make_shared<FakeMpi>(size);
    options.mpi_process = [mpi](int rank) { return mpi->process(rank); };
  }
  return options;
}

// Runs `body` on every rank of a world of threads, with a group of all of them.
inline void with_group(int size, const CommOptions& options,
                       const std::function<void(Group&)>& body) {
  const Watchdog watchdog("a world of " + std::to_string(size));
  run_ranks(size, options, [&](World& world) {
    const auto group = world.form_group("all", all_ranks(size), soon());
    body(*group);
  });
}

// Runs `body` once per rank, each in a thread. By rank, what it returns, or the words of its Error.
inline std::vector<std::string> words_of_ranks(int size,
                                               const std::function<std::string(int)>& body) {
  std::vector<std::string> words(static_cast<std::size_t>(size));
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.emplace_back([&, rank] {
      try {
        words[rank] = body(rank);
      } catch (const Error& error) {
        words[rank] = error.what();
      }
    });
  }
  ranks.clear();
  return words;
}

// 64 bits that look random, the same for the same numbers.
inline std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15ULL + b + 0x1234567ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace shoal::test
