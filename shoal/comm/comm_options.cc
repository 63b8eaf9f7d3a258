#include <arpa/inet.h>
#include <fmt/format.h>

#include "shoal/comm/algorithms/algorithms.h"
#include "shoal/comm/world.h"
#include "shoal/core/options.h"

namespace shoal {

std::vector<std::string> CommOptions::problems() const {
  std::vector<std::string> faults;
  const auto positive = [&](const char* name, double seconds) {
    if (!(seconds > 0)) {
      faults.push_back(
          fmt::format("comm.{} is {}; give a number of seconds above 0", name, seconds));
    }
  };
  positive("join_seconds", join_seconds);
  positive("collective_seconds", collective_seconds);
  positive("death_seconds", death_seconds);
  const auto numeric = [&](const char* name, const std::string& text) {
    in6_addr address;
    if (text.empty() || inet_pton(AF_INET, text.c_str(), &address) == 1 ||
        inet_pton(AF_INET6, text.c_str(), &address) == 1) {
      return;
    }
    faults.push_back(
        fmt::format("comm.{} is \"{}\"; give a numeric address of this host, for example 10.0.0.5",
                    name, text));
  };
  if (ranks_per_host < 0) {
    faults.push_back(
        fmt::format("comm.ranks_per_host is {}; give 1 or more, or 0 to take hosts as they are",
                    ranks_per_host));
  }
  numeric("interface_address", interface_address);
  numeric("second_interface_address", second_interface_address);
  return faults;
}

namespace {

template <typename Enum, std::size_t n>
std::vector<std::pair<std::string, Enum>> named(const Enum (&all)[n]) {
  std::vector<std::pair<std::string, Enum>> names;
  for (const Enum one : all) names.emplace_back(name_of(one), one);
  return names;
}

std::vector<std::pair<std::string, Algorithm>> algorithms() {
  auto names = named(kAlgorithms);
  names.insert(names.begin(), {std::string(name_of(Algorithm::automatic)), Algorithm::automatic});
  return names;
}

}  // namespace

std::string_view name_of(Engine engine) {
  switch (engine) {
    case Engine::automatic:
      return "automatic";
    case Engine::memory:
      return "memory";
    case Engine::shm:
      return "shm";
    case Engine::tcp:
      return "tcp";
    case Engine::hierarchical:
      return "hierarchical";
    case Engine::mpi:
      return "mpi";
  }
  return "?";
}

std::string_view name_of(Mpi which) {
  switch (which) {
    case Mpi::automatic:
      return "automatic";
    case Mpi::open_mpi:
      return "openmpi";
    case Mpi::mpich:
      return "mpich";
  }
  return "?";
}

OptionTable describe(CommOptions& o) {
  return {
      "comm",
      "How workers exchange data.",
      {
          choice("engine", o.engine, named(kEngines),
                 "Where the bytes go. automatic: memory for threads, shm when all members of a "
                 "group are on one host, hierarchical (shm inside hosts and tcp between them) when "
                 "two of them share one, else tcp. mpi: messages of an MPI, in jobs that its "
                 "mpirun started."),
          choice("mpi", o.mpi, named(kMpis),
                 "Which MPI serves engine mpi. automatic: the one whose launcher started the "
                 "workers."),
          choice(
              "algorithm", o.algorithm, algorithms(),
              "How sums are made, and with it the order in which floats are added. automatic: "
              "what comm.choices says; where it says nothing, hierarchical in groups over several "
              "hosts of which some has two members, else two_shot. Print one with `shoal comm "
              "plan`."),
          option(
              "choices", o.choices,
              "File that says which algorithm serves which sizes, as `shoal comm tune` writes it. "
              "Empty: the table that comes with shoal."),
          option("topology", o.topology,
                 "File that says which workers are linked and how fast, for algorithm tree (see "
                 "docs/communication.md). Empty: all are linked alike."),
          option("join_seconds", o.join_seconds, "Seconds to wait for all workers at the start."),
          option("collective_seconds", o.collective_seconds,
                 "Seconds that one collective or receive may take. A worker that is slower than "
                 "this is taken for lost."),
          option("death_seconds", o.death_seconds,
                 "Seconds within which a dead worker is noticed."),
          option("interface_address", o.interface_address,
                 "Numeric address to listen on for tcp. Empty: the address that routes to the "
                 "peer."),
          option("second_interface_address", o.second_interface_address,
                 "Numeric address of this host in a second network. Groups over tcp then measure "
                 "both when they form, and all-reduce over both at once. Empty: there is none."),
          option("ranks_per_host", o.ranks_per_host,
                 "So many workers in a row count as one host, to try on one machine what a job "
                 "does on several. 0: hosts are what they are."),
      }};
}

}  // namespace shoal
