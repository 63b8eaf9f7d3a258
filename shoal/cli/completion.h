// Scripts by which shells complete the command line of shoal. They hold all words themselves, so
// that a press of the tabulator starts no program.
#pragma once

#include <string>
#include <vector>

#include "shoal/cli/command_words.h"

namespace shoal {

// For bash 4 or later; does not need the package bash-completion.
std::string bash_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings);
// For zsh 5: a file "_shoal" of a folder in fpath.
std::string zsh_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings);
// For fish 3.
std::string fish_completion(const CommandWords& shoal, const std::vector<SettingWords>& settings);

}  // namespace shoal
