// Starting a launcher on every host of a list over ssh.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct Host {
  std::string name;  // as ssh takes it, possibly user@host
  int slots = 1;     // workers there
};

// Lines "HOST" or "HOST slots=N"; "#" begins a comment. `default_slots` stands where none are
// given. Throws InvalidInput with every faulty line, or when there is no host; `source` names the
// file.
std::vector<Host> parse_hosts(std::string_view text, std::string_view source, int default_slots);

// The address other hosts reach it by: without "user@".
std::string address_of(const Host& host);

// Words of a command option such as "ssh -p 2222 -i key", split at white space.
std::vector<std::string> split_words(std::string_view text);

// One word for a POSIX shell, whatever it holds.
std::string shell_quoted(std::string_view word);
std::string shell_quoted(const std::vector<std::string>& words);

}  // namespace shoal
