#include "shoal/cli/command_line.h"

#include <iostream>
#include <string>
#include <vector>

#include "shoal/cli/command_set.h"
#include "shoal/cli/exit_codes.h"
#include "shoal/cli/version_text.h"
#include "shoal/launch/run_command.h"

namespace shoal {
namespace {

// What cannot be read of a command line, as one sentence.
int refuse(const CLI::ParseError& error, const std::vector<std::string>& words,
           const CLI::App& app) {
  std::string command = "shoal";
  std::string sentence = error.what();
  if (words.size() > 1 && words[1].rfind('-', 0) != 0) {
    const auto named = [&](const CLI::App* one) { return one->get_name() == words[1]; };
    if (!app.get_subcommands(named).empty()) {
      command += " " + words[1];
    } else {
      sentence = "there is no command '" + words[1] + "'";
    }
  }
  std::cerr << "error: " << sentence << ": see " << command << " --help" << std::endl;
  return kRefused;
}

// The launcher's options are not workers' business: they are taken out of the command line.
void take_launch_words(std::vector<std::string>& words, TrainArguments& train) {
  if (words.size() < 2 || words[1] != "train") return;
  const std::size_t before = words.size();
  take_launch_options(words, train.launch);
  train.workers_given = words.size() != before;
}

int run_subcommand(std::vector<std::string> words) {
  CommandSet commands;
  try {
    take_launch_words(words, commands.train());
    commands.app().parse(std::vector<std::string>(words.rbegin(), words.rend() - 1));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return refuse(error, words, commands.app());
    commands.app().exit(error, std::cout, std::cerr);  // help
    return kOk;
  } catch (...) {
    return report_failure(std::current_exception(), /*training=*/false, std::cerr);
  }
  return commands.run(words);
}

}  // namespace

int run_command_line(std::vector<std::string> words) {
  if (words.size() > 1 && words[1] == "run") {
    std::vector<char*> arguments;
    for (std::size_t i = 2; i < words.size(); ++i) arguments.push_back(words[i].data());
    return run_command(static_cast<int>(arguments.size()), arguments.data());
  }
  if (words.size() == 2 && words[1] == "--version") {
    std::cout << version_text() << std::flush;
    return kOk;
  }
  return run_subcommand(std::move(words));
}

}  // namespace shoal
