// The command `shoal run`, and the options by which other commands start workers.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "shoal/core/stop_request.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/local_workers.h"

namespace shoal {

// Takes the options of the launcher (-n, --nodes, --hosts, ...) out of `arguments`, up to a "--",
// and leaves the others in place. Throws InvalidInput for a missing or malformed value.
void take_launch_options(std::vector<std::string>& arguments, LaunchOptions& options);

struct LaunchOptionWords {
  std::string name;   // "--master"
  std::string value;  // "HOST:PORT"; empty for a switch
  std::string help;
};
std::vector<LaunchOptionWords> launch_option_words();

// Their help, one option a line, indented by two.
std::string launch_options_help();

// `shoal run [options] -- PROGRAM [ARGS]`; `arguments` are those after "run". Prints --help on
// `out` and errors, one sentence each, on `err`. Returns the exit code: 2 for whatever is refused
// before anything runs, 3 for a passed deadline or a lost worker, otherwise as launch does.
// `environment` gives SHOAL_SECRET and SHOAL_SECRET_FILE. With --control-stdin it reads standard
// input. Blocks until the job has ended.
int run_command(std::vector<std::string> arguments, const EnvironmentLookup& environment,
                std::ostream& out, std::ostream& err, const StopRequest& stop);

// As main: installs handlers for Ctrl-C and SIGTERM, uses the process's environment and streams.
int run_command(int argc, char** argv);

}  // namespace shoal
