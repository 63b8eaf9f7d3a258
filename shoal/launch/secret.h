// The secret that the workers of one job share: every client of the store proves that it knows it.
// It never stands in an argument list; to own workers it goes through an inherited memory file,
// to launchers on other machines through a file or standard input.
#pragma once

#include <filesystem>
#include <string>

#include "shoal/launch/owned_fd.h"

namespace shoal {

// 32 random bytes from the system, as 64 hexadecimal digits.
std::string random_secret();

// The content of a secret file without white space at its ends. Throws InvalidInput when the file
// is missing, empty, shorter than 16 characters or longer than 4 KiB, or readable by other users.
std::string read_secret_file(const std::filesystem::path& path);

// An anonymous file in memory that holds the secret, closed on exec (who starts a worker passes it
// on by clearing that flag in the child).
OwnedFd secret_in_memory(const std::string& secret);

// Reads what secret_in_memory wrote, from an inherited descriptor; can be read any number of times.
// Throws InvalidInput when the descriptor is not such a file.
std::string read_secret_fd(int fd);

// A folder only this user can enter: $XDG_RUNTIME_DIR/shoal when `runtime_folder` names a folder
// of this user, otherwise shoal-<uid> in the system's P_tmpdir: one place for all processes of the
// user, whatever their TMPDIR. Made when missing. Throws InvalidInput when somebody else owns it or
// can enter it.
std::filesystem::path private_folder(const std::string& runtime_folder);

}  // namespace shoal
