#include "shoal/cli/doctor_checks.h"

#include <ATen/Version.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "shoal/comm/machine_probe.h"
#include "shoal/comm/mpi_process.h"
#include "shoal/core/error.h"
#include "shoal/launch/mpi_launcher.h"
#include "shoal/program/number_text.h"
#include "shoal/tensor/compute_device.h"

namespace shoal {
namespace {

// Of a port of this host, 0 for any: 0, or what hinders it.
int fault_of_port(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool good = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                    listen(fd, 1) == 0;
  const int fault = good ? 0 : errno;
  close(fd);
  return fault;
}

std::string limit_text(std::uint64_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : fmt::format("{}", limit);
}

const char* word_of(Standing standing) {
  switch (standing) {
    case Standing::good:
      return "good";
    case Standing::slower:
      return "note";
    case Standing::hinders:
      return "STOP";
  }
  return "";
}

}  // namespace

Finding check_open_files(std::uint64_t soft, std::uint64_t hard) {
  Finding finding{.subject = "open files",
                  .looked_at = "RLIMIT_NOFILE",
                  .found = fmt::format("{} of at most {}", limit_text(soft), limit_text(hard))};
  constexpr std::uint64_t kLeast = 64, kMany = 1024;
  if (soft >= kMany) return finding;
  finding.standing = soft < kLeast ? Standing::hinders : Standing::slower;
  finding.remedy = hard >= kMany ? fmt::format("ulimit -n {}", kMany)
                                 : "many workers need 1024: raise the limit of this user";
  return finding;
}

Finding check_locked_memory(std::uint64_t soft) {
  Finding finding{
      .subject = "locked memory",
      .looked_at = "RLIMIT_MEMLOCK",
      .found = soft == RLIM_INFINITY ? "unlimited" : human_bytes(static_cast<std::int64_t>(soft))};
  if (soft != RLIM_INFINITY) {
    finding.found += "; shoal locks none, an MPI over RDMA does";
  }
  return finding;
}

Finding check_ports(int master_port) {
  Finding finding{.subject = "ports",
                  .looked_at = fmt::format("listening on 127.0.0.1, any and {}", master_port),
                  .found = "can be used"};
  if (const int fault = fault_of_port(0)) {
    finding.found = fmt::format("none can be used: {}", std::strerror(fault));
    finding.standing = Standing::hinders;
    finding.remedy = "bring the loopback up: ip link set lo up";
  } else if (const int of_master = fault_of_port(master_port)) {
    finding.found = fmt::format("{} cannot be used: {}", master_port, std::strerror(of_master));
    finding.standing = Standing::slower;
    finding.remedy = "name another with --master HOST:PORT when there are several hosts";
  }
  return finding;
}

Finding check_torch() {
  const std::string capability = at::get_cpu_capability();
  const std::optional<int> gpus = gpus_in_sight();
  Finding finding{.subject = "LibTorch",
                  .looked_at = "the library that is linked",
                  .found = fmt::format("{}, kernels for {}, {}", TORCH_VERSION, capability,
                                       !gpus ? "without CUDA" : fmt::format("{} GPUs", *gpus))};
  if (capability == "DEFAULT" || capability == "NO AVX") {
    finding.standing = Standing::slower;
    finding.remedy = "this processor has no AVX2, or ATEN_CPU_CAPABILITY hides it";
  }
  return finding;
}

Finding check_mpi(const std::string& name) {
  const Mpi which = name == "mpich" ? Mpi::mpich : Mpi::open_mpi;
  Finding finding{.subject = name, .looked_at = "mpirun in PATH, shoal's module", .found = {}};
  try {
    finding.found = find_mpi_launcher(which).path;
    finding.found += ", module " + mpi_file(which, "module").string();
  } catch (const Error& error) {
    finding.found = error.what();
    finding.standing = Standing::slower;
    finding.remedy =
        fmt::format("only engine mpi needs it: apt-get install {}",
                    which == Mpi::mpich ? "mpich libmpich-dev" : "openmpi-bin libopenmpi-dev");
  }
  return finding;
}

Finding check_speed() {
  const MachineProbe probe = probe_machine();
  Finding finding{
      .subject = "speed now",
      .looked_at = "64 MiB copied by one core, a flag from one core to the next, the clock",
      .found = fmt::format(
          "{:.1f} GB/s; {}; {:.0f} ns to read the clock", 1e-9 * probe.copied_per_second,
          probe.ping_seconds ? fmt::format("{:.0f} ns ({})", 1e9 * *probe.ping_seconds,
                                           distance_of(*probe.ping_seconds))
                             : std::string("one core only"),
          1e9 * probe.clock_seconds)};
  if (probe.clock_seconds > 1e-6) {
    finding.standing = Standing::slower;
    finding.remedy = "the clock asks the kernel: see the line 'time'";
  }
  return finding;
}

std::string text_of(const Finding& finding) {
  std::string text = fmt::format("{}  {:<16} {}  [{}]\n", word_of(finding.standing),
                                 finding.subject, finding.found, finding.looked_at);
  if (!finding.remedy.empty()) text += fmt::format("{:<23}-> {}\n", "", finding.remedy);
  return text;
}

nlohmann::ordered_json to_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  bool runs = true;
  for (const Finding& finding : findings) {
    runs = runs && finding.standing != Standing::hinders;
    list.push_back({{"subject", finding.subject},
                    {"standing", finding.standing == Standing::good     ? "good"
                                 : finding.standing == Standing::slower ? "note"
                                                                        : "stop"},
                    {"found", finding.found},
                    {"looked_at", finding.looked_at},
                    {"remedy", finding.remedy}});
  }
  return {{"would_run", runs}, {"findings", list}};
}

}  // namespace shoal
