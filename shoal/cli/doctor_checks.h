// What of this machine helps or hinders a job. Each check looks at one thing and says what it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace shoal {

enum class Standing : std::uint8_t {
  good,
  slower,   // jobs run, and something would make them faster or more able
  hinders,  // a job would not run
};

struct Finding {
  std::string subject;  // "cores"
  std::string looked_at;
  std::string found;
  Standing standing = Standing::good;
  std::string remedy = {};  // what to do, most often a command; empty when all is well
};

// Where to look; a test gives folders of its own.
struct MachinePlaces {
  std::filesystem::path proc = "/proc";
  std::filesystem::path sys = "/sys";
  std::filesystem::path shared_memory = "/dev/shm";
  std::filesystem::path temporary = "/tmp";
  std::vector<std::filesystem::path> search_path;  // for programs
  std::function<std::optional<std::string>(const std::string&)> environment;
};

// Files only, and read in microseconds.
Finding check_cores(const MachinePlaces& places);   // affinity, quota, other load
Finding check_memory(const MachinePlaces& places);  // free, and what the control group leaves
Finding check_shared_memory(const MachinePlaces& places);  // memory files, /dev/shm
Finding check_governor(const MachinePlaces& places);
Finding check_huge_pages(const MachinePlaces& places);
Finding check_clock(const MachinePlaces& places);  // its source, and time stolen since boot
Finding check_bf16(const MachinePlaces& places);
Finding check_namespaces(const MachinePlaces& places);
Finding check_variables(const MachinePlaces& places);  // threads, allocator
Finding check_temporary(const MachinePlaces& places);
Finding check_ssh(const MachinePlaces& places);

// Of a limit of processes: the soft and the hard value.
Finding check_open_files(std::uint64_t soft, std::uint64_t hard);
Finding check_locked_memory(std::uint64_t soft);

// These ask the system.
Finding check_ports(int master_port);  // listens, and lets go at once
Finding check_torch();
Finding check_mpi(const std::string& name);  // "openmpi", "mpich": launcher and module
// Loads it: what it was built against and gives.
Finding check_plugin(const std::string& file);
// A fifth of a second: how fast this machine is now.
Finding check_speed();

// A line or, with a remedy, two.
std::string text_of(const Finding& finding);
nlohmann::ordered_json to_json(const std::vector<Finding>& findings);

}  // namespace shoal
