// What may stand in a command line, as plain values: what the completion of shells is made from.
#pragma once

#include <string>
#include <vector>

#include "shoal/core/options.h"

namespace CLI {
class App;
}

namespace shoal {

enum class WordKind : std::uint8_t {
  none,  // a switch
  free,  // a number, an address: nothing to offer
  file,
  folder,
  job,      // a TOML file
  setting,  // table.key=value
  one_of,
};

struct ValueWords {
  WordKind kind = WordKind::none;
  std::vector<std::string> names = {};  // of one_of
};

struct FlagWords {
  std::string name;  // "--set", "-n"
  std::string help;
  ValueWords value;
};

struct CommandWords {
  std::string name;  // "bench"
  std::string path;  // "comm bench"; "" for shoal itself
  std::string help;
  std::vector<FlagWords> flags = {};
  std::vector<ValueWords> positionals = {};
  std::vector<CommandWords> commands = {};
  bool starts_program = false;  // after "--" stands a command of the system
};

// All of `shoal`: the commands of `app`, with the launcher's options where they are taken.
CommandWords command_words(const CLI::App& app);

// Of `table.key=value`: the key, and what it may be. Text that may be anything is a file: most keys
// of that kind are.
struct SettingWords {
  std::string key;  // "train.lr"
  ValueWords value;
};
std::vector<SettingWords> setting_words(const std::vector<OptionTable>& tables);

}  // namespace shoal
