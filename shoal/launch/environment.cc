#include "shoal/launch/environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "shoal/core/error.h"
#include "shoal/launch/environment_sources.h"
#include "shoal/launch/secret.h"

namespace shoal {
namespace {

void require_consistent(const WorkerPlace& place) {
  const auto refuse = [&](const std::string& why) {
    throw InvalidInput(
        fmt::format("the variables of {} contradict each other: {}", place.source, why));
  };
  if (place.size < 1) refuse(fmt::format("there are {} workers", place.size));
  if (place.rank < 0 || place.rank >= place.size) {
    refuse(fmt::format("rank {} of {} workers", place.rank, place.size));
  }
  if (place.local_size < 1 || place.local_size > place.size) {
    refuse(fmt::format("{} of {} workers on this host", place.local_size, place.size));
  }
  if (place.local_rank < 0 || place.local_rank >= place.local_size) {
    refuse(fmt::format("local rank {} of {} workers on this host", place.local_rank,
                       place.local_size));
  }
}

}  // namespace

EnvironmentLookup process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::string search_path() { return process_environment()("PATH").value_or("/usr/bin:/bin"); }

std::vector<std::string> inherited_variables() {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    all.emplace_back(*entry);
  }
  return all;
}

std::optional<WorkerPlace> place_from_environment(const EnvironmentLookup& lookup) {
  const Variables variables(lookup);
  std::optional<WorkerPlace> place = place_of_shoal(variables);
  if (!place) place = place_of_torchrun(variables);
  if (!place) place = place_of_open_mpi(variables);
  if (!place) place = place_of_hydra(variables);
  if (!place) place = place_of_srun(variables);
  if (place) require_consistent(*place);
  return place;
}

std::optional<std::string> secret_from_environment(const EnvironmentLookup& lookup) {
  if (const auto file = lookup("SHOAL_SECRET_FILE")) return read_secret_file(*file);
  const auto secret = lookup("SHOAL_SECRET");
  if (secret && secret->size() < 16) {
    throw InvalidInput(fmt::format(
        "SHOAL_SECRET has {} characters: give 16 or more, for example from openssl rand -hex 16",
        secret->size()));
  }
  return secret;
}

HostPort parse_host_port(const std::string& text, const std::string& what) {
  const auto refuse = [&]() {
    throw InvalidInput(
        fmt::format("{} is '{}': give HOST:PORT with a port from 1 to 65535", what, text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) refuse();
  HostPort place{.host = text.substr(0, colon)};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, place.port);
  if (error != std::errc() || stop != end || place.port < 1 || place.port > 65535) refuse();
  if (place.host.front() == '[') {
    if (place.host.back() != ']' || place.host.size() < 3) refuse();
    place.host = place.host.substr(1, place.host.size() - 2);
  } else if (place.host.find(':') != std::string::npos) {
    refuse();  // an IPv6 address without brackets leaves open where it ends
  }
  return place;
}

}  // namespace shoal
