// The checks on machines that are made up.
#include "shoal/cli/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "shoal/cli/version_text.h"
#include "shoal/core/test_folder.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Folders in place of /proc and /sys; removed at the end.
class MadeUpMachine : public testing::Test {
 protected:
  MadeUpMachine() {
    places_.proc = root_ / "proc";
    places_.sys = root_ / "sys";
    places_.shared_memory = root_.path();
    places_.temporary = root_.path();
    places_.search_path = {root_ / "bin"};
    places_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
  }

  void write(const std::filesystem::path& file, const std::string& content) const {
    root_.write(file, content);
  }

  TempFolder root_;
  std::map<std::string, std::string> variables_;
  MachinePlaces places_;
};

TEST_F(MadeUpMachine, CoresAreThoseOfAffinityAndQuotaAndOthersUseThem) {
  write("proc/loadavg", "0.01 0 0 1/2 3");
  EXPECT_EQ(check_cores(places_).standing, Standing::good);
  EXPECT_THAT(check_cores(places_).found, HasSubstr("quota: none"));
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/cpu.max", "50000 100000\n");
  write("proc/loadavg", "900.5 0 0 1/2 3");
  const Finding busy = check_cores(places_);
  EXPECT_EQ(busy.standing, Standing::slower);
  EXPECT_THAT(busy.found, AllOf(HasSubstr("quota: 1"), HasSubstr("load 900.5")));
  EXPECT_THAT(busy.remedy, HasSubstr("fewer workers"));
}

TEST_F(MadeUpMachine, MemoryIsTheLeastOfMachineAndControlGroup) {
  const auto free = [&](const char* kilobytes) {
    write("proc/meminfo",
          std::string("MemTotal: 99999999 kB\nMemAvailable: ") + kilobytes + " kB\n");
    return check_memory(places_).standing;
  };
  EXPECT_EQ(free("8388608"), Standing::good);
  EXPECT_EQ(free("1048576"), Standing::slower);
  EXPECT_EQ(free("102400"), Standing::hinders);
  EXPECT_EQ(free("8388608"), Standing::good);
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/memory.max", "1073741824\n");
  write("sys/fs/cgroup/a/memory.current", "1000000000\n");
  const Finding finding = check_memory(places_);
  EXPECT_EQ(finding.standing, Standing::hinders);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("8 GiB free"), HasSubstr("left")));
  EXPECT_FALSE(finding.remedy.empty());
}

TEST_F(MadeUpMachine, GovernorAndHugePagesSayTheirCommand) {
  EXPECT_EQ(check_governor(places_).standing, Standing::good);  // not visible: nothing to do
  const std::string governor = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
  write(governor, "powersave\n");
  EXPECT_EQ(check_governor(places_).remedy, "cpupower frequency-set -g performance");
  write(governor, "performance\n");
  EXPECT_EQ(check_governor(places_).standing, Standing::good);
  write("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  EXPECT_THAT(check_huge_pages(places_).remedy, HasSubstr("echo madvise"));
  write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  EXPECT_EQ(check_huge_pages(places_).found, "madvise");
}

TEST_F(MadeUpMachine, StolenTimeIsAShareOfAll) {
  write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
  write("proc/stat", "cpu  50 0 20 20 0 0 0 10 0 0\ncpu0 1 2 3\n");
  const Finding stolen = check_clock(places_);
  EXPECT_EQ(stolen.standing, Standing::slower);
  EXPECT_THAT(stolen.found, AllOf(HasSubstr("clock tsc"), HasSubstr("10.0 %")));
  write("proc/stat", "cpu  500 0 200 290 0 0 0 10 0 0\n");
  EXPECT_EQ(check_clock(places_).standing, Standing::good);
  write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
  EXPECT_THAT(check_clock(places_).remedy, HasSubstr("echo tsc"));
}

TEST_F(MadeUpMachine, Bfloat16NeedsItsInstructions) {
  write("proc/cpuinfo", "processor : 0\nflags : fpu sse4_2 avx2 avx512f avx512_bf16\n\n");
  EXPECT_THAT(instruction_sets(places_.proc / "cpuinfo"),
              ElementsAre("sse4_2", "avx2", "avx512f", "avx512_bf16"));
  EXPECT_EQ(check_bf16(places_).standing, Standing::good);
  write("proc/cpuinfo", "flags : fpu avx2\n");
  EXPECT_EQ(check_bf16(places_).standing, Standing::slower);
  EXPECT_THAT(check_bf16(places_).remedy, HasSubstr("fp32"));
  EXPECT_THAT(instruction_sets("/nowhere/cpuinfo"), ElementsAre());
}

TEST_F(MadeUpMachine, VariablesThatSlowDownAreNamed) {
  EXPECT_EQ(check_variables(places_).standing, Standing::good);
  variables_ = {{"OMP_NUM_THREADS", "8"}, {"ATEN_CPU_CAPABILITY", "default"}};
  EXPECT_EQ(check_variables(places_).remedy, "unset OMP_NUM_THREADS; unset ATEN_CPU_CAPABILITY");
  variables_ = {{"OMP_NUM_THREADS", "1"}};
  EXPECT_EQ(check_variables(places_).standing, Standing::good);
}

TEST_F(MadeUpMachine, ProgramsAndFoldersAreLookedFor) {
  EXPECT_EQ(check_ssh(places_).standing, Standing::slower);
  write("bin/ssh", "");
  std::filesystem::permissions(root_ / "bin/ssh", std::filesystem::perms::owner_all);
  EXPECT_EQ(check_ssh(places_).found, (root_ / "bin/ssh").string());
  EXPECT_EQ(check_temporary(places_).standing, Standing::good);
  places_.temporary = root_ / "missing";
  EXPECT_EQ(check_temporary(places_).standing, Standing::hinders);
  EXPECT_EQ(check_namespaces(places_).standing, Standing::slower);
  write("proc/sys/user/max_net_namespaces", "100\n");
  EXPECT_EQ(check_namespaces(places_).standing, Standing::good);
  EXPECT_THAT(check_shared_memory(places_).found, HasSubstr("memory files can be made"));
}

TEST(Doctor, LimitsOfOpenFiles) {
  EXPECT_EQ(check_open_files(1024, 4096).standing, Standing::good);
  EXPECT_EQ(check_open_files(RLIM_INFINITY, RLIM_INFINITY).standing, Standing::good);
  EXPECT_EQ(check_open_files(256, 4096).remedy, "ulimit -n 1024");
  EXPECT_EQ(check_open_files(256, 256).standing, Standing::slower);
  EXPECT_EQ(check_open_files(32, 32).standing, Standing::hinders);
  EXPECT_EQ(check_locked_memory(RLIM_INFINITY).found, "unlimited");
  EXPECT_THAT(check_locked_memory(8 << 20).found, HasSubstr("8 MiB"));
}

TEST(Doctor, APortThatSomebodyHasIsNamed) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int port = ntohs(address.sin_port);
  EXPECT_THAT(check_ports(port).found, HasSubstr(std::to_string(port) + " cannot be used"));
  close(fd);
  EXPECT_EQ(check_ports(port).standing, Standing::good);
}

TEST(Doctor, ALineSaysWhatWasFoundAndWhere) {
  const Finding finding{"cores", "affinity", "2", Standing::slower, "buy more"};
  EXPECT_EQ(text_of(finding),
            "note  cores            2  [affinity]\n" + std::string(23, ' ') + "-> buy more\n");
  const auto json = to_json({finding, {"ports", "x", "y", Standing::hinders, "z"}});
  EXPECT_EQ(json["would_run"], false);
  EXPECT_EQ(json["findings"][0]["standing"], "note");
  EXPECT_EQ(to_json({finding})["would_run"], true);
  EXPECT_THAT(check_torch().found, MatchesRegex("2\\..*, kernels for .*"));
  EXPECT_GT(check_speed().found.size(), 10U);
}

}  // namespace
}  // namespace shoal
