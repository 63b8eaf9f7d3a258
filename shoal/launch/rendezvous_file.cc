#include "shoal/launch/rendezvous_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "shoal/core/error.h"
#include "shoal/launch/owned_fd.h"

namespace shoal {
namespace {

constexpr std::size_t kLongestFile = 4096;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw InvalidInput(fmt::format("rendezvous file {}: {}", file.string(), why));
}

}  // namespace

void write_rendezvous(const std::filesystem::path& file, const Rendezvous& rendezvous) {
  const nlohmann::json content = {{"port", rendezvous.port}, {"secret", rendezvous.secret}};
  const std::string text = content.dump();
  const std::filesystem::path beside = fmt::format("{}.{}", file.string(), ::getpid());
  ::unlink(beside.c_str());
  OwnedFd out(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out.is_open()) refuse(file, std::strerror(errno));
  const bool written =
      ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::rename(beside.c_str(), file.c_str()) != 0) {
    const int reason = errno;
    ::unlink(beside.c_str());
    refuse(file, std::strerror(reason));
  }
}

std::optional<Rendezvous> read_rendezvous(const std::filesystem::path& file) {
  const OwnedFd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!in.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    refuse(file, std::strerror(errno));
  }
  struct stat facts {};
  if (::fstat(in.get(), &facts) != 0 || facts.st_uid != ::geteuid() || (facts.st_mode & 077) != 0 ||
      !S_ISREG(facts.st_mode)) {
    refuse(file, "it is not a file that only this user can read: remove it");
  }
  std::string text(kLongestFile, '\0');
  const ssize_t got = ::read(in.get(), text.data(), text.size());
  if (got < 0) refuse(file, std::strerror(errno));
  text.resize(static_cast<std::size_t>(got));
  const auto content = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!content.is_object() || !content.contains("port") || !content.contains("secret") ||
      !content["port"].is_number_integer() || !content["secret"].is_string()) {
    refuse(file, "it does not hold a port and a secret: remove it");
  }
  return Rendezvous{.port = content["port"].get<int>(),
                    .secret = content["secret"].get<std::string>()};
}

FoundStore connect_through_file(const std::string& address, const std::filesystem::path& file,
                                Deadline deadline) {
  constexpr std::chrono::milliseconds kOneTry{500};
  constexpr std::chrono::milliseconds kBetween{10};
  while (!deadline.passed()) {
    if (const auto found = read_rendezvous(file)) {
      try {
        const auto try_until = Deadline::after(std::min(kOneTry, deadline.left()));
        return {.store = connect_store(address, found->port, found->secret, try_until),
                .secret = found->secret};
      } catch (const TimedOut&) {
      } catch (const PeerLost&) {
      } catch (const InvalidInput&) {
      }
    }
    std::this_thread::sleep_for(std::min(kBetween, deadline.left()));
  }
  return {};
}

}  // namespace shoal
