#include "shoal/launch/host_launchers.h"

#include <fmt/format.h>

#include <filesystem>

#include "shoal/core/file.h"
#include "shoal/launch/environment.h"
#include "shoal/launch/secret.h"
#include "shoal/launch/supervisor.h"

namespace shoal {
namespace {

constexpr int kMasterPort = 29431;

std::chrono::milliseconds seconds(double value) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(value));
}

std::string master_of(const LaunchOptions& options, const std::vector<Host>& hosts) {
  if (!options.master.empty()) return options.master;
  const std::string address = address_of(hosts.front());
  const bool ipv6 = address.find(':') != std::string::npos;
  return ipv6 ? fmt::format("[{}]:{}", address, kMasterPort)
              : fmt::format("{}:{}", address, kMasterPort);
}

}  // namespace

std::string host_command(const LaunchOptions& options, const std::vector<Host>& hosts,
                         std::size_t host, const std::string& folder, const std::string& launcher) {
  int before = 0;
  int all = 0;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i < host) before += hosts[i].slots;
    all += hosts[i].slots;
  }
  const auto text = [](auto value) { return fmt::format("{}", value); };
  std::vector<std::string> words = {"exec", "env"};
  words.insert(words.end(), options.variables.begin(), options.variables.end());
  for (const std::string& word : {launcher,
                                  std::string("run"),
                                  std::string("-n"),
                                  text(hosts[host].slots),
                                  std::string("--nodes"),
                                  text(hosts.size()),
                                  std::string("--node-rank"),
                                  text(host),
                                  std::string("--first-rank"),
                                  text(before),
                                  std::string("--world-size"),
                                  text(all),
                                  std::string("--master"),
                                  master_of(options, hosts),
                                  std::string("--join-seconds"),
                                  text(options.join_seconds),
                                  std::string("--grace-seconds"),
                                  text(options.grace_seconds),
                                  std::string("--stop-seconds"),
                                  text(options.stop_seconds),
                                  std::string("--silence-seconds"),
                                  text(options.silence_seconds),
                                  std::string("--control-stdin")}) {
    words.push_back(word);
  }
  if (options.plain_rank0) words.emplace_back("--plain-rank0");
  words.emplace_back("--");
  words.insert(words.end(), options.command.begin(), options.command.end());
  return fmt::format("cd {} && {}", shell_quoted(std::string_view(folder)), shell_quoted(words));
}

int launch_on_hosts(const LaunchOptions& options, std::ostream& out, std::ostream& err,
                    const StopRequest& stop) {
  const auto hosts =
      parse_hosts(read_file(options.hosts_file), options.hosts_file, options.workers);
  parse_host_port(master_of(options, hosts), "--master");
  const std::string path = search_path();
  auto ssh = split_words(options.ssh);
  if (ssh.empty()) ssh = {"ssh"};
  ssh[0] = find_program(ssh[0], path);
  const std::string launcher = options.launcher.empty()
                                   ? std::filesystem::read_symlink("/proc/self/exe").string()
                                   : options.launcher;
  const std::string folder = std::filesystem::current_path().string();
  std::string secret = options.secret;
  if (secret.empty()) {
    secret = options.secret_file.empty() ? random_secret() : read_secret_file(options.secret_file);
  }

  // The launchers at the other end have put the ranks before the lines already. They first stop by
  // themselves, so ours gives them twice their time.
  MergedOutput output(out, err,
                      {.prefix = false,
                       .verbatim_rank = options.plain_rank0 ? 0 : -1,
                       // The launchers have sorted causes from consequences as well.
                       .errors = {.living = std::chrono::milliseconds(300)}});
  Supervisor supervisor({.grace = 3 * seconds(options.grace_seconds),
                         .stop = seconds(options.stop_seconds) + seconds(options.grace_seconds)},
                        output, stop, nullptr, [](const Failure&) {});
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    std::vector<std::string> argv = ssh;
    for (const std::string& word : {std::string("-o"), std::string("BatchMode=yes"), hosts[i].name,
                                    host_command(options, hosts, i, folder, launcher)}) {
      argv.push_back(word);
    }
    supervisor.start({.rank = static_cast<int>(i),
                      .name = fmt::format("the launcher on host {}", hosts[i].name),
                      .where = "",
                      .command = {.argv = argv,
                                  .variables = inherited_variables(),
                                  .passed_fds = {},
                                  .has_input = true},
                      .is_launcher = true});
  }
  supervisor.write_to_launchers(secret + "\n");
  return supervisor.run();
}

}  // namespace shoal
