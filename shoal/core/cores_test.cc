#include "shoal/core/cores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "shoal/core/check.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

TEST(AllowedCores, AreAscendingAndWithinTheAffinity) {
  const std::vector<int> cores = allowed_cores();
  ASSERT_FALSE(cores.empty());
  EXPECT_TRUE(std::ranges::is_sorted(cores));
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  for (const int core : cores) EXPECT_TRUE(CPU_ISSET(core, &set)) << core;
}

TEST(AllowedCores, FollowTheAffinity) {
  std::jthread([] {
    const int last = allowed_cores().back();
    pin_this_thread({last});
    EXPECT_THAT(allowed_cores(), ElementsAre(last));
    EXPECT_EQ(::sched_getcpu(), last);
  }).join();
}

TEST(CoresOfWorker, AreDisjointWhileThereIsOneEach) {
  const std::vector<int> cores = {0, 1, 2, 5, 7};
  EXPECT_THAT(cores_of_worker(0, 2, cores), ElementsAre(0, 1, 2));
  EXPECT_THAT(cores_of_worker(1, 2, cores), ElementsAre(5, 7));
  EXPECT_THAT(cores_of_worker(4, 5, cores), ElementsAre(7));
  EXPECT_EQ(cores_of_worker(0, 1, cores), cores);
}

TEST(CoresOfWorker, AreSharedRoundRobinBeyond) {
  EXPECT_THAT(cores_of_worker(2, 5, {3, 4}), ElementsAre(3));
  EXPECT_THAT(cores_of_worker(3, 5, {3, 4}), ElementsAre(4));
  EXPECT_THROW(cores_of_worker(5, 5, {3, 4}), BrokenInvariant);
  EXPECT_THROW(cores_of_worker(0, 1, {}), BrokenInvariant);
}

TEST(PinThisThread, IgnoresWhatIsNotThere) {
  std::jthread([] {
    const std::vector<int> before = allowed_cores();
    pin_this_thread({});
    pin_this_thread({-1});
    pin_this_thread({100000});
    EXPECT_EQ(allowed_cores(), before);
    pin_this_thread({before.front(), 5000});
    EXPECT_THAT(allowed_cores(), ElementsAre(before.front()));
  }).join();
}

TEST(NameThisThread, KeepsFifteenBytes) {
  std::jthread([] {
    name_this_thread("rank 12 sender and more");
    char name[16] = {};
    ASSERT_EQ(::pthread_getname_np(::pthread_self(), name, sizeof name), 0);
    EXPECT_STREQ(name, "rank 12 sender ");
  }).join();
}

// A made-up /proc/self/cgroup and /sys/fs/cgroup.
class QuotaTest : public testing::Test {
 protected:
  void put(const fs::path& path, const std::string& text) const { root_.write(path, text); }
  std::optional<int> quota(const std::string& membership) const {
    put("membership", membership);
    return detail::cores_by_quota(root_ / "membership", root_.path());
  }

  TempFolder root_;
};

TEST_F(QuotaTest, RoundsVersionTwoUp) {
  put("a/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota("0::/a\n"), 2);
  put("a/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota("0::/a\n"), 2);
  put("a/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota("0::/a\n"), 1);
}

TEST_F(QuotaTest, TakesTheLeastOfAllGroupsAbove) {
  put("a/b/cpu.max", "max 100000\n");
  put("a/cpu.max", "300000 100000\n");
  put("cpu.max", "700000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 3);
  EXPECT_EQ(quota("0::/\n"), 7);
}

TEST_F(QuotaTest, InAContainerOnlyTheMountExists) {
  put("cpu.max", "400000 100000\n");
  EXPECT_EQ(quota("0::/kubepods/pod7/container\n"), 4);
  EXPECT_EQ(quota("0::/../..\n"), 4);
}

TEST_F(QuotaTest, UnderstandsVersionOne) {
  put("cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n");
  put("cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("7:memory:/m\n4:cpu,cpuacct:/a\n"), 3);
  put("cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota("4:cpu,cpuacct:/a\n"), std::nullopt);
}

TEST_F(QuotaTest, WithoutALimitOrWithNonsenseThereIsNone) {
  EXPECT_EQ(quota(""), std::nullopt);
  EXPECT_EQ(quota("0::/a\n"), std::nullopt);
  EXPECT_EQ(quota("no colons\n:\n::\n"), std::nullopt);
  for (const char* text : {"max 100000", "", "abc def", "100000", "0 100000", "100000 0", "-5 1"}) {
    put("a/cpu.max", text);
    EXPECT_EQ(quota("0::/a\n"), std::nullopt) << text;
  }
  EXPECT_EQ(detail::cores_by_quota(root_ / "missing", root_.path()), std::nullopt);
}

}  // namespace
}  // namespace shoal
