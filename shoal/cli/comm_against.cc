#include "shoal/cli/comm_against.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>

#include "shoal/cli/comm_times.h"
#include "shoal/comm/machine_probe.h"
#include "shoal/comm/mpi_process.h"
#include "shoal/core/cores.h"
#include "shoal/core/error.h"
#include "shoal/launch/mpi_launcher.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

using Seconds = std::map<std::int64_t, double>;  // by size

struct Setting {
  std::vector<std::string> options = {};
  std::vector<std::string> variables = {};
};

// With more ranks than cores, spinning costs a thousand times what yielding does. Open MPI's single
// copies are slower for middle sizes; MPICH's own shared memory is slower than UCX's for some.
std::vector<Setting> settings_of(Mpi mpi, bool crowded) {
  if (mpi == Mpi::mpich) {
    if (crowded) return {{.variables = {"MPIR_CVAR_POLLS_BEFORE_YIELD=1"}}};
    return {{}, {.variables = {"UCX_TLS=posix,cma,self"}}};
  }
  std::vector<Setting> settings;
  for (const char* const mechanism : {"cma", "none"}) {
    settings.push_back({.options = {"--mca", "btl_vader_single_copy_mechanism", mechanism}});
    if (!crowded) continue;
    settings.back().options.insert(settings.back().options.end(),
                                   {"--mca", "mpi_yield_when_idle", "1"});
  }
  return settings;
}

class Peer {
 public:
  Peer(Mpi mpi, const MeasureOptions& options)
      : launcher_(find_mpi_launcher(mpi)),
        settings_(settings_of(mpi, options.ranks > static_cast<int>(allowed_cores().size()))),
        ranks_(options.ranks) {
    program_ = {mpi_file(mpi, "peer").string(), std::string(name_of(options.operation))};
    for (const std::int64_t size : measured_sizes(options)) {
      program_.push_back(fmt::to_string(size));
    }
  }
  const std::vector<Setting>& settings() const { return settings_; }
  Seconds seconds(const Setting& setting) const {
    std::istringstream lines(run_under_mpi(launcher_,
                                           {.ranks = ranks_,
                                            .options = setting.options,
                                            .variables = setting.variables,
                                            .program = program_},
                                           Deadline::after(std::chrono::minutes(10))));
    Seconds found;
    std::int64_t bytes = 0;
    double seconds = 0;
    while (lines >> bytes >> seconds) found[bytes] = seconds;
    return found;
  }

 private:
  const MpiLauncher launcher_;
  const std::vector<Setting> settings_;
  const int ranks_;
  std::vector<std::string> program_;
};

// How far apart the cores were during a run, from the nearest on.
constexpr std::string_view kOneCore = "one core";
constexpr std::string_view kDistances[] = {kOneCore, "near", "between", "far"};
// Of all runs, also those in between.
constexpr std::string_view kMoved = "cores that moved";

std::string_view distance_now() {
  const std::optional<double> ping = probe_ping();
  return ping ? distance_of(*ping) : kOneCore;
}

// Of one contender, in one round after another.
class Rounds {
 public:
  // All runs of a round, one for each of the ways in which the contender can run.
  template <typename Run>
  void add_round(std::size_t ways, const Run& run) {
    constexpr int kTries = 4;
    std::map<std::string_view, std::vector<Seconds>> found;
    for (std::size_t way = 0; way < ways; ++way) {
      for (int attempt = 0; attempt < kTries; ++attempt) {
        const std::string_view before = distance_now();
        const Seconds seconds = run(way);
        found[kMoved].push_back(seconds);
        if (distance_now() != before) continue;
        found[before].push_back(seconds);
        if (before == kOneCore || before == "near") break;
      }
    }
    for (const auto& [distance, runs] : found) add(distance, runs);
  }
  int rounds(std::string_view distance) const {
    const auto found = times_.find(distance);
    return found == times_.end() ? 0 : static_cast<int>(found->second.begin()->second.size());
  }
  std::vector<Measured> summary(std::string_view distance) const {
    std::vector<Measured> sizes;
    for (const auto& [bytes, times] : times_.at(distance)) {
      sizes.push_back(summary_of(bytes, times, 1));
    }
    return sizes;
  }

 private:
  // The fastest counts.
  void add(std::string_view distance, const std::vector<Seconds>& runs) {
    Seconds best = runs.front();
    for (const Seconds& run : runs) {
      for (const auto& [bytes, seconds] : run) best[bytes] = std::min(best[bytes], seconds);
    }
    for (const auto& [bytes, seconds] : best) times_[distance][bytes].push_back(seconds);
  }

  std::map<std::string_view, std::map<std::int64_t, std::vector<double>>> times_;
};

Seconds seconds_of_shoal(MeasureOptions options) {
  options.repetitions = 1;
  Seconds seconds;
  measure(options, [&](const Measured& size) { seconds[size.bytes] = size.median; });
  return seconds;
}

}  // namespace

std::vector<Mpi> mpis_called(const std::string& names) {
  std::vector<Mpi> mpis;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto* const found = std::find_if(std::begin(kMpis), std::end(kMpis), [&](Mpi mpi) {
      return mpi != Mpi::automatic && name == name_of(mpi);
    });
    if (found == std::end(kMpis)) {
      throw InvalidInput(
          fmt::format("--against {}: name openmpi, mpich or both with a comma between", names));
    }
    if (std::find(mpis.begin(), mpis.end(), *found) == mpis.end()) mpis.push_back(*found);
  }
  return mpis;
}

std::vector<Comparison> measure_against(const MeasureOptions& options,
                                        const std::vector<Mpi>& mpis) {
  std::vector<Peer> peers;
  for (const Mpi mpi : mpis) peers.emplace_back(mpi, options);
  std::vector<Rounds> rounds(peers.size() + 1);
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < options.repetitions; ++round) {
    rounds[0].add_round(1, [&](std::size_t) { return seconds_of_shoal(options); });
    for (std::size_t peer = 0; peer < peers.size(); ++peer) {
      const std::vector<Setting>& settings = peers[peer].settings();
      rounds[peer + 1].add_round(
          settings.size(), [&](std::size_t way) { return peers[peer].seconds(settings[way]); });
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    std::cerr << fmt::format("round {} of {}: {:.0f} s\n", round + 1, options.repetitions,
                             passed.count());
  }
  std::vector<std::string> names{"shoal"};
  for (const Mpi mpi : mpis) names.emplace_back(name_of(mpi));
  std::vector<Comparison> comparisons;
  const auto compare = [&](std::string_view distance) {
    Comparison comparison;
    comparison.distance = distance;
    comparison.rounds = options.repetitions;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      comparison.rounds = std::min(comparison.rounds, rounds[i].rounds(distance));
      if (comparison.rounds == 0) return;
      comparison.contenders.push_back({names[i], rounds[i].summary(distance)});
    }
    comparisons.push_back(std::move(comparison));
  };
  for (const std::string_view distance : kDistances) compare(distance);
  if (comparisons.empty()) compare(kMoved);
  return comparisons;
}

std::string text_of(const Comparison& comparison) {
  const std::vector<ChartLine>& contenders = comparison.contenders;
  std::string table = fmt::format("{}, {} round{}\n{:>9}", comparison.distance, comparison.rounds,
                                  comparison.rounds == 1 ? "" : "s", "size");
  for (const ChartLine& contender : contenders) table += fmt::format("  {:>32}", contender.name);
  for (std::size_t peer = 1; peer < contenders.size(); ++peer) {
    table += fmt::format("  {:>13}", contenders[peer].name + "/shoal");
  }
  table += "\n";
  const std::vector<Measured>& own = contenders.front().sizes;
  for (std::size_t size = 0; size < own.size(); ++size) {
    table += fmt::format("{:>9}", human_bytes(own[size].bytes));
    for (const ChartLine& contender : contenders) {
      const Measured& at = contender.sizes.at(size);
      table += fmt::format("  {:>9} ({:>9} - {:>9})", time_text(at.median), time_text(at.least),
                           time_text(at.most));
    }
    for (std::size_t peer = 1; peer < contenders.size(); ++peer) {
      table +=
          fmt::format("  {:>13.2f}", contenders[peer].sizes.at(size).median / own[size].median);
    }
    table += "\n";
  }
  for (std::size_t peer = 1; peer < contenders.size(); ++peer) {
    const auto faster = std::count_if(own.begin(), own.end(), [&](const Measured& at) {
      return at.median < contenders[peer].sizes.at(&at - own.data()).median;
    });
    table += fmt::format("shoal is faster than {} at {} of {} sizes\n", contenders[peer].name,
                         faster, own.size());
  }
  return table;
}

}  // namespace shoal
