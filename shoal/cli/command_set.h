// Which subcommands there are, with their options, and what a parsed one does. The help, the
// parsing and the completion of shells all come from here.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shoal/cli/arguments.h"

namespace shoal {

// An option's type_name says what its value is, for shells: kFile, kFolder, kJob, kSetting, or the
// names it may be with '|' between. Its option_text is what the help shows.
inline constexpr const char* kFile = "FILE";
inline constexpr const char* kFolder = "FOLDER";
inline constexpr const char* kJob = "JOB";
inline constexpr const char* kSetting = "SETTING";

class CommandSet {
 public:
  CommandSet();

  CLI::App& app() { return app_; }
  // Of `shoal train`: the launcher takes its options out of the words before they are parsed.
  TrainArguments& train() { return *train_; }
  // Runs the subcommand that the app has parsed; returns its exit code. `command_line`: what
  // workers are started with again.
  int run(const std::vector<std::string>& command_line) const;

  using Action = std::function<int(const std::vector<std::string>& command_line)>;
  void add(CLI::App& command, Action action) { actions_.emplace_back(&command, std::move(action)); }

 private:
  CLI::App app_;
  bool version_ = false;
  std::shared_ptr<TrainArguments> train_;  // shared with what runs it
  std::vector<std::pair<CLI::App*, Action>> actions_;
};

// shoal comm ...
void add_comm_commands(CommandSet& set);

void add_file_option(CLI::App& app, const std::string& name, std::filesystem::path& file,
                     const std::string& what);
// Names with ", " between, as a type_name.
std::string one_of(const std::string& names);

}  // namespace shoal
