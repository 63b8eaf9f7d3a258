// A rank that waits for a late one leaves its core to others.
//
// SHOAL_SHOW_WAITS=1 waits for a second, not for a fifth, and prints what it cost.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/test_worlds.h"

namespace shoal::test {
namespace {

double cpu_seconds_of_this_thread() {
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

class Waiting : public testing::TestWithParam<std::tuple<Engine, Algorithm>> {};

// Rank 0 comes late; the others' threads count.
TEST_P(Waiting, CostsLittle) {
  const bool show = number_from("SHOAL_SHOW_WAITS", 0) != 0;
  const std::chrono::milliseconds late(show ? 1000 : 200);
  const CommOptions options = options_of(std::get<0>(GetParam()), std::get<1>(GetParam()), 3);
  std::vector<double> reduce(3);
  std::vector<double> receive(3);
  with_group(3, options, [&](Group& group) {
    const int rank = group.rank();
    std::vector<float> values(1000, 1.0F);
    const Buffer all = buffer(std::span(values));
    group.barrier(soon());
    if (rank == 0) std::this_thread::sleep_for(late);
    double before = cpu_seconds_of_this_thread();
    group.all_reduce({&all, 1}, ReduceOp::sum, soon());
    reduce[rank] = cpu_seconds_of_this_thread() - before;
    group.barrier(soon());
    if (rank == 0) {
      std::this_thread::sleep_for(late);
      for (const int peer : {1, 2}) group.send(all, peer, soon());
    } else {
      before = cpu_seconds_of_this_thread();
      group.receive(all, 0, soon());
      receive[rank] = cpu_seconds_of_this_thread() - before;
    }
  });
  for (const auto& [what, used] : {std::pair("all_reduce", reduce), {"receive", receive}}) {
    const double most = std::max(used[1], used[2]);
    EXPECT_LT(most, 0.5 * static_cast<double>(late.count()) * 1e-3) << what;
    if (show) {
      fmt::print("waited {} {} {}: {:.1f} ms of CPU in {} ms\n", name_of(options.engine),
                 name_of(options.algorithm), what, 1e3 * most, late.count());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, Waiting,
                         testing::Combine(testing::Values(Engine::memory, Engine::shm, Engine::tcp,
                                                          Engine::hierarchical, Engine::mpi),
                                          testing::Values(Algorithm::two_shot, Algorithm::ring)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", name_of(std::get<0>(info.param)),
                                              name_of(std::get<1>(info.param)));
                         });

INSTANTIATE_TEST_SUITE_P(Hosts, Waiting,
                         testing::Combine(testing::Values(Engine::hierarchical),
                                          testing::Values(Algorithm::hierarchical)),
                         [](const auto& info) {
                           return std::string(name_of(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace shoal::test
