// The launcher that starts a launcher on every host of a list over ssh.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "shoal/core/stop_request.h"
#include "shoal/launch/hosts.h"
#include "shoal/launch/local_workers.h"

namespace shoal {

// Runs `shoal run` on each host of options.hosts_file and passes outputs, stops and failures on.
// The secret goes over the connections' standard input, which stays open: the launchers at the
// other end stop their workers when it ends. Returns the exit code as launch does. Throws
// InvalidInput for a missing or malformed hosts file, or when ssh is not there.
int launch_on_hosts(const LaunchOptions& options, std::ostream& out, std::ostream& err,
                    const StopRequest& stop);

// What a host's shell is to execute: in the same folder, `launcher run ...`.
std::string host_command(const LaunchOptions& options, const std::vector<Host>& hosts,
                         std::size_t host, const std::string& folder, const std::string& launcher);

}  // namespace shoal
