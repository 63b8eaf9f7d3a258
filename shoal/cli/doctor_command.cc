// shoal doctor: would a job run here, and what would make it faster?
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "shoal/cli/commands.h"
#include "shoal/cli/doctor_checks.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/core/file.h"
#include "shoal/launch/environment.h"

namespace shoal {
namespace {

constexpr int kMasterPort = 29431;  // of --hosts

MachinePlaces places_here() {
  MachinePlaces places;
  std::istringstream folders(search_path());
  for (std::string folder; std::getline(folders, folder, ':');) {
    places.search_path.emplace_back(folder);
  }
  places.environment = process_environment();
  places.temporary = places.environment("TMPDIR").value_or("/tmp");
  return places;
}

std::vector<Finding> examine(const MachinePlaces& places) {
  rlimit files{}, locked{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_MEMLOCK, &locked);
  return {check_cores(places),
          check_memory(places),
          check_shared_memory(places),
          check_torch(),
          check_bf16(places),
          check_variables(places),
          check_huge_pages(places),
          check_governor(places),
          check_clock(places),
          check_speed(),
          check_open_files(files.rlim_cur, files.rlim_max),
          check_locked_memory(locked.rlim_cur),
          check_temporary(places),
          check_ports(kMasterPort),
          check_ssh(places),
          check_mpi("openmpi"),
          check_mpi("mpich"),
          check_namespaces(places)};
}

}  // namespace

int doctor_command(const DoctorArguments& arguments) {
  try {
    std::vector<Finding> findings = examine(places_here());
    if (!arguments.plugin.empty()) findings.push_back(check_plugin(arguments.plugin));
    for (const Finding& finding : findings) std::cout << text_of(finding);
    const auto count = [&](Standing standing) {
      return std::count_if(findings.begin(), findings.end(),
                           [&](const Finding& finding) { return finding.standing == standing; });
    };
    const auto hinder = count(Standing::hinders);
    std::cout << (hinder > 0
                      ? fmt::format("a job would not run here: see the lines with STOP\n")
                      : fmt::format("a job would run here; {} notes\n", count(Standing::slower)))
              << std::flush;
    if (!arguments.json.empty()) {
      replace_file(arguments.json, to_json(findings).dump(2) + "\n");
    }
    return hinder > 0 ? kOther : kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
}

}  // namespace shoal
