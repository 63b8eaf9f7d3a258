#include "shoal/launch/run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <map>
#include <optional>
#include <variant>

#include "shoal/core/error.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

constexpr int kRefused = 2;
constexpr int kLost = 3;
constexpr int kOther = 1;

using Field = std::variant<int*, double*, std::string*, bool*>;

struct LaunchOption {
  std::string name;
  std::string value;  // as shown in the help; empty for a switch
  Field field;
  std::string help;
};

std::vector<LaunchOption> options_of(LaunchOptions& o) {
  return {
      {"-n", "N", &o.workers, "workers on this host (1)"},
      {"--nodes", "N", &o.nodes, "launchers of this job, one a node, each with its -n (1)"},
      {"--node-rank", "K", &o.node_rank, "which of them this is, from 0 (0)"},
      {"--master", "HOST:PORT", &o.master, "where node 0's launcher is reached by all nodes"},
      {"--secret-file", "FILE", &o.secret_file,
       "what the launchers share to know each other; or the variable SHOAL_SECRET"},
      {"--hosts", "FILE", &o.hosts_file,
       "start launchers over ssh on the hosts of this file, lines HOST [slots=N]"},
      {"--ssh", "COMMAND", &o.ssh, "how to reach a host (ssh)"},
      {"--launcher", "PATH", &o.launcher, "where the hosts have this command (as here)"},
      {"--first-rank", "R", &o.first_rank,
       "rank of the first worker here, where -n differs by node"},
      {"--world-size", "N", &o.world_size, "workers of all nodes, where -n differs by node"},
      {"--join-seconds", "S", &o.join_seconds, "wait for all launchers (60)"},
      {"--grace-seconds", "S", &o.grace_seconds,
       "after a failure, time for the others to end by themselves (5)"},
      {"--stop-seconds", "S", &o.stop_seconds, "after Ctrl-C, time for a last checkpoint (300)"},
      {"--silence-seconds", "S", &o.silence_seconds,
       "a launcher that says nothing for so long is lost (10)"},
      {"--plain-rank0", "", &o.plain_rank0, "rank 0's output passes through without a prefix"},
  };
}

template <typename Number>
void read_number(const std::string& name, const std::string& text, Number& field) {
  const char* end = text.data() + text.size();
  Number value{};
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) {
    throw InvalidInput(fmt::format("{} is '{}': give a number", name, text));
  }
  field = value;
}

void read_value(const LaunchOption& option, const std::string& text) {
  if (int* const* number = std::get_if<int*>(&option.field)) {
    read_number(option.name, text, **number);
  } else if (double* const* real = std::get_if<double*>(&option.field)) {
    read_number(option.name, text, **real);
  } else if (std::string* const* field = std::get_if<std::string*>(&option.field)) {
    if (text.empty()) throw InvalidInput(fmt::format("{} is empty: leave it out", option.name));
    **field = text;
  }
}

[[noreturn]] void refuse_unknown(const std::string& argument) {
  std::vector<std::string> known = {"--help"};
  LaunchOptions unused;
  for (const auto& option : options_of(unused)) known.push_back(option.name);
  const auto meant = nearest(argument.substr(0, argument.find('=')), known);
  throw InvalidInput(
      fmt::format("unknown option {}: {}the program to run stands after --", argument,
                  meant ? fmt::format("did you mean {}? Otherwise ", *meant) : std::string()));
}

std::string usage() {
  return fmt::format(
      "shoal run starts N copies of a program, with their ranks in their environment, and sees\n"
      "them through to their end: one stream of output, and none left behind.\n\n"
      "  shoal run -n N -- PROGRAM [ARGS]\n"
      "  shoal run -n N --nodes M --node-rank K --master HOST:PORT --secret-file FILE -- PROGRAM "
      "[ARGS]\n"
      "  shoal run --hosts FILE -- PROGRAM [ARGS]\n\n"
      "options (default)\n{}\n"
      "exit code: 0; 2 refused before anything ran; 3 a worker or node was lost; 130 or 143 after\n"
      "Ctrl-C or SIGTERM; otherwise that of the worker that failed first.\n",
      launch_options_help());
}

// The first line of standard input, read byte by byte: what follows is for the supervisor.
std::string read_secret_line() {
  constexpr std::size_t kLongest = 4096;
  std::string line;
  char byte = 0;
  while (line.size() < kLongest && ::read(STDIN_FILENO, &byte, 1) == 1) {
    if (byte == '\n') return line;
    line += byte;
  }
  throw InvalidInput("--control-stdin: standard input does not begin with the secret's line");
}

// Everything before the program's "--" that is not an option of the launcher.
void finish_arguments(std::vector<std::string> arguments, LaunchOptions& options) {
  const auto control = std::find(arguments.begin(), arguments.end(), "--control-stdin");
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  if (control < separator) {
    options.secret = read_secret_line();
    options.control_fd = STDIN_FILENO;
    arguments.erase(control);
  }
  std::size_t begin = 0;
  if (!arguments.empty() && arguments.front() == "--") begin = 1;
  if (begin == 0 && !arguments.empty() && arguments.front().starts_with('-')) {
    refuse_unknown(arguments.front());
  }
  options.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(begin), arguments.end());
}

int say_and_return(std::ostream& err, const Error& error, int code) {
  err << "error: " << error.what() << '\n' << std::flush;
  return code;
}

}  // namespace

void take_launch_options(std::vector<std::string>& arguments, LaunchOptions& options) {
  const auto known = options_of(options);
  std::vector<std::string> left;
  std::size_t i = 0;
  while (i < arguments.size() && arguments[i] != "--") {
    const std::string& argument = arguments[i++];
    const auto equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::string name = argument.substr(0, equals);
    const auto found = std::find_if(known.begin(), known.end(), [&](const LaunchOption& option) {
      return option.name == name;
    });
    if (found == known.end()) {
      left.push_back(argument);
      continue;
    }
    if (bool* const* flag = std::get_if<bool*>(&found->field)) {
      **flag = true;
    } else if (equals != std::string::npos) {
      read_value(*found, argument.substr(equals + 1));
    } else if (i < arguments.size() && arguments[i] != "--") {
      read_value(*found, arguments[i++]);
    } else {
      throw InvalidInput(fmt::format("{} needs a value: {} {}", name, name, found->value));
    }
  }
  left.insert(left.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  arguments = std::move(left);
}

std::vector<LaunchOptionWords> launch_option_words() {
  LaunchOptions unused;
  std::vector<LaunchOptionWords> words;
  for (const auto& option : options_of(unused)) {
    words.push_back({option.name, option.value, option.help});
  }
  return words;
}

std::string launch_options_help() {
  std::string text;
  for (const auto& option : launch_option_words()) {
    text += fmt::format("  {:<24} {}\n", option.name + " " + option.value, option.help);
  }
  return text;
}

int run_command(std::vector<std::string> arguments, const EnvironmentLookup& environment,
                std::ostream& out, std::ostream& err, const StopRequest& stop) {
  try {
    const auto separator = std::find(arguments.begin(), arguments.end(), "--");
    if (std::any_of(arguments.begin(), separator, [](const std::string& argument) {
          return argument == "--help" || argument == "-h";
        })) {
      out << usage();
      return 0;
    }
    LaunchOptions options;
    take_launch_options(arguments, options);
    finish_arguments(std::move(arguments), options);
    if (options.secret.empty() && options.secret_file.empty()) {
      options.secret = secret_from_environment(environment).value_or("");
    }
    return launch(options, out, err, stop);
  } catch (const InvalidInput& error) {
    for (const std::string& fault : error.faults) err << "error: " << fault << '\n';
    err << std::flush;
    return kRefused;
  } catch (const TimedOut& error) {
    return say_and_return(err, error, kLost);
  } catch (const PeerLost& error) {
    return say_and_return(err, error, kLost);
  } catch (const Error& error) {
    return say_and_return(err, error, kOther);
  }
}

int run_command(int argc, char** argv) {
  StopRequest stop;
  const SignalsAskToStop signals(stop);
  return run_command(std::vector<std::string>(argv, argv + argc), process_environment(), std::cout,
                     std::cerr, stop);
}

}  // namespace shoal
