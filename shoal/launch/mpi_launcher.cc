#include "shoal/launch/mpi_launcher.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "shoal/core/error.h"
#include "shoal/launch/child_process.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/worker_variables.h"

namespace shoal {
namespace {

struct Output {
  std::string out;
  std::string err;
  std::optional<Ending> ending;  // nothing: it was killed at the deadline
};

Output output_of(const std::vector<std::string>& argv, const std::vector<std::string>& variables,
                 Deadline deadline) {
  ChildProcess child({.argv = argv, .variables = variables, .passed_fds = {}});
  Output output;
  std::array<pollfd, 2> fds = {pollfd{child.out().get(), POLLIN, 0},
                               pollfd{child.err().get(), POLLIN, 0}};
  const std::array<std::string*, 2> texts = {&output.out, &output.err};
  while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !deadline.passed()) {
    poll(fds.data(), fds.size(), static_cast<int>(deadline.left().count()));
    for (std::size_t stream = 0; stream < fds.size(); ++stream) {
      if (fds[stream].fd < 0 || fds[stream].revents == 0) continue;
      std::array<char, 4096> bytes;
      const ssize_t got = read(fds[stream].fd, bytes.data(), bytes.size());
      if (got > 0) {
        texts[stream]->append(bytes.data(), static_cast<std::size_t>(got));
      } else {
        fds[stream].fd = -1;
      }
    }
  }
  pollfd ended{child.ended_fd(), POLLIN, 0};
  if (poll(&ended, 1, static_cast<int>(deadline.left().count())) > 0)
    output.ending = child.ending();
  return output;
}

std::string_view own_words(Mpi which) { return which == Mpi::open_mpi ? "(Open MPI)" : "HYDRA"; }

// Open MPI refuses to be started by root unless told twice.
std::vector<std::string> variables_with(std::vector<std::string> more) {
  if (geteuid() == 0) {
    more.emplace_back("OMPI_ALLOW_RUN_AS_ROOT=1");
    more.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
  }
  return worker_variables(inherited_variables(), more);
}

std::string end_of(const std::string& text) {
  constexpr std::size_t kMost = 600;
  return text.size() <= kMost ? text : "..." + text.substr(text.size() - kMost);
}

}  // namespace

MpiLauncher find_mpi_launcher(Mpi which) {
  const std::string path = search_path();
  const std::vector<std::string> names =
      which == Mpi::open_mpi
          ? std::vector<std::string>{"mpirun.openmpi", "mpirun", "mpiexec"}
          : std::vector<std::string>{"mpirun.mpich", "mpiexec.hydra", "mpirun", "mpiexec"};
  for (const std::string& name : names) {
    std::string file;
    try {
      file = find_program(name, path);
    } catch (const InvalidInput&) {
      continue;
    }
    const Output version = output_of({file, "--version"}, variables_with({}),
                                     Deadline::after(std::chrono::seconds(20)));
    if (version.out.find(own_words(which)) != std::string::npos) return {which, file};
  }
  throw InvalidInput(fmt::format("no launcher of {} is installed: none of {} is its",
                                 which == Mpi::open_mpi ? "Open MPI" : "MPICH",
                                 fmt::join(names, ", ")));
}

std::string run_under_mpi(const MpiLauncher& launcher, const MpiRun& run, Deadline deadline) {
  std::vector<std::string> argv = {launcher.path, "-n", fmt::to_string(run.ranks)};
  const std::vector<std::string> bound =
      launcher.which == Mpi::open_mpi
          ? std::vector<std::string>{"--oversubscribe", "--map-by", "core", "--bind-to",
                                     "core:overload-allowed"}
          : std::vector<std::string>{"-bind-to", "core"};
  argv.insert(argv.end(), bound.begin(), bound.end());
  argv.insert(argv.end(), run.options.begin(), run.options.end());
  argv.insert(argv.end(), run.program.begin(), run.program.end());
  const Output output = output_of(argv, variables_with(run.variables), deadline);
  const std::string what =
      fmt::format("{} -n {} {}", launcher.path, run.ranks, fmt::join(run.program, " "));
  if (!output.ending) {
    throw TimedOut(
        fmt::format("{} did not end within {} s", what, deadline.waited().count() / 1000), {});
  }
  if (output.ending->exit_code != 0 || output.ending->signal != 0) {
    throw Error(fmt::format("{} {}: {}", what, describe(*output.ending),
                            end_of(output.err.empty() ? output.out : output.err)));
  }
  return output.out;
}

}  // namespace shoal
