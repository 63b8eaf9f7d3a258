#include "shoal/launch/secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr std::size_t kShortest = 16;
constexpr std::size_t kLongestSecret = 4096;

[[noreturn]] void fail(const std::string& what) {
  throw Error(fmt::format("{}: {}", what, std::strerror(errno)));
}

bool is_private_folder(const std::filesystem::path& folder) {
  struct stat facts {};
  return ::lstat(folder.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
         facts.st_uid == ::geteuid() && (facts.st_mode & 077) == 0;
}

std::string trimmed(const std::string& text) {
  constexpr const char* kWhite = " \t\r\n";
  const auto first = text.find_first_not_of(kWhite);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

}  // namespace

std::string random_secret() {
  std::array<unsigned char, 32> bytes{};
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::getrandom(bytes.data() + have, bytes.size() - have, 0);
    if (got < 0 && errno != EINTR) fail("the system gives no random bytes");
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  std::string digits;
  for (const unsigned char byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

std::string read_secret_file(const std::filesystem::path& path) {
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) {
    throw InvalidInput(fmt::format("secret file {}: {}", path.string(), std::strerror(errno)));
  }
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) fail("fstat");
  if ((facts.st_mode & 077) != 0) {
    throw InvalidInput(fmt::format("secret file {} can be read by other users: run chmod 600 {}",
                                   path.string(), path.string()));
  }
  std::string text(kLongestSecret + 1, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw InvalidInput(fmt::format("secret file {}: {}", path.string(), std::strerror(errno)));
    }
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  const std::string secret = trimmed(text);
  if (secret.size() < kShortest || text.size() > kLongestSecret) {
    throw InvalidInput(fmt::format("secret file {} holds {} characters: give {} to {}",
                                   path.string(), secret.size(), kShortest, kLongestSecret));
  }
  return secret;
}

OwnedFd secret_in_memory(const std::string& secret) {
  OwnedFd file(::memfd_create("shoal-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) fail("a memory file for the secret");
  if (::write(file.get(), secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()) ||
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) != 0) {
    fail("writing the secret to a memory file");
  }
  return file;
}

std::string read_secret_fd(int fd) {
  std::string text(kLongestSecret, '\0');
  // At a fixed offset: programs that inherit the descriptor share its position.
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  if (got <= 0) {
    throw InvalidInput(fmt::format(
        "SHOAL_SECRET_FD is {}, which is not the open file that the launcher passes on: start the "
        "worker so that it inherits its parent's descriptors",
        fd));
  }
  text.resize(static_cast<std::size_t>(got));
  return text;
}

std::filesystem::path private_folder(const std::string& runtime_folder) {
  const bool given = !runtime_folder.empty() && is_private_folder(runtime_folder);
  const std::filesystem::path folder =
      given ? std::filesystem::path(runtime_folder) / "shoal"
            : std::filesystem::path(fmt::format("{}/shoal-{}", P_tmpdir, ::geteuid()));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw InvalidInput(
        fmt::format("cannot make the folder {}: {}", folder.string(), std::strerror(errno)));
  }
  if (!is_private_folder(folder)) {
    throw InvalidInput(fmt::format(
        "{} is not a folder that only this user can enter: remove it or run chmod 700 on it",
        folder.string()));
  }
  return folder;
}

}  // namespace shoal
