#include "shoal/cli/comm_against.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <sstream>

#include "shoal/cli/comm_times.h"
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
  // The fastest setting counts.
  Seconds seconds() const {
    Seconds best;
    for (const Setting& setting : settings_) {
      std::istringstream lines(run_under_mpi(launcher_,
                                             {.ranks = ranks_,
                                              .options = setting.options,
                                              .variables = setting.variables,
                                              .program = program_},
                                             Deadline::after(std::chrono::minutes(10))));
      std::int64_t bytes = 0;
      double seconds = 0;
      while (lines >> bytes >> seconds) {
        const auto [known, is_new] = best.emplace(bytes, seconds);
        if (!is_new) known->second = std::min(known->second, seconds);
      }
    }
    return best;
  }

 private:
  const MpiLauncher launcher_;
  const std::vector<Setting> settings_;
  const int ranks_;
  std::vector<std::string> program_;
};

// Of one repetition after another.
class Rounds {
 public:
  void add(const Seconds& seconds) {
    for (const auto& [bytes, time] : seconds) times_[bytes].push_back(time);
  }
  std::vector<Measured> summary() const {
    std::vector<Measured> sizes;
    for (const auto& [bytes, times] : times_) sizes.push_back(summary_of(bytes, times, 1));
    return sizes;
  }

 private:
  std::map<std::int64_t, std::vector<double>> times_;
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

std::vector<ChartLine> measure_against(const MeasureOptions& options,
                                       const std::vector<Mpi>& mpis) {
  std::vector<Peer> peers;
  for (const Mpi mpi : mpis) peers.emplace_back(mpi, options);
  std::vector<Rounds> rounds(peers.size() + 1);
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < options.repetitions; ++round) {
    rounds[0].add(seconds_of_shoal(options));
    for (std::size_t peer = 0; peer < peers.size(); ++peer) {
      rounds[peer + 1].add(peers[peer].seconds());
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    std::cerr << fmt::format("round {} of {}: {:.0f} s\n", round + 1, options.repetitions,
                             passed.count());
  }
  std::vector<ChartLine> contenders{{"shoal", rounds[0].summary()}};
  for (std::size_t peer = 0; peer < peers.size(); ++peer) {
    contenders.push_back({std::string(name_of(mpis[peer])), rounds[peer + 1].summary()});
  }
  return contenders;
}

std::string table_of(const std::vector<ChartLine>& contenders) {
  std::string table = fmt::format("{:>9}", "size");
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
