// The command `shoal`: reads its arguments and hands over to a subcommand.
#pragma once

#include <string>
#include <vector>

namespace shoal {

// `words`: the program's name, then its arguments. Blocks until the command is done; prints on
// std::cout, errors as one sentence each on std::cerr. Returns the exit code, throws nothing.
int run_command_line(std::vector<std::string> words);

}  // namespace shoal
