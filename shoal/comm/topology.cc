#include "shoal/comm/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "shoal/core/error.h"
#include "shoal/core/file.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostRanks = 128;

struct TopologyFile {
  std::int64_t ranks = 0;
  double latency_us = 0;
  json links = json::array();
};

OptionTable describe(TopologyFile& file) {
  return {"",
          "Links between ranks.",
          {
              option("ranks", file.ranks, "How many."),
              option("latency_us", file.latency_us, "Of links that do not say, microseconds."),
              option("links", file.links,
                     "A list of { between = [0, 1], GB_per_s = 1.0, latency_us = 10 }, or with "
                     "from = 0, to = 1 for one direction."),
          }};
}

// Reads the entries of `links`, and collects what is wrong with them.
class LinkReader {
 public:
  LinkReader(const TopologyFile& file, std::vector<std::string>& faults)
      : file_(file), faults_(faults), topology_(static_cast<int>(file.ranks)) {}

  Topology read() {
    if (!file_.links.is_array()) {
      faults_.emplace_back("links is no list");
      return topology_;
    }
    for (const json& entry : file_.links) {
      ++number_;
      if (entry.is_object()) {
        read_entry(entry);
      } else {
        fault("is no table");
      }
    }
    return topology_;
  }

 private:
  void fault(std::string_view what) {
    faults_.push_back(fmt::format("link {} of the list {}", number_, what));
  }

  void read_entry(const json& entry) {
    static const std::set<std::string> known{"between", "from", "to", "GB_per_s", "latency_us"};
    for (const auto& [key, value] : entry.items()) {
      if (!known.contains(key)) {
        fault(
            fmt::format("has the unknown key {}; known are between, from, to, GB_per_s, "
                        "latency_us",
                        key));
      }
    }
    const Link link{number(entry, "GB_per_s", 0) * 1e9,
                    number(entry, "latency_us", file_.latency_us) / 1e6};
    if (!(link.bytes_per_second > 0) || !std::isfinite(link.bytes_per_second)) {
      return fault("needs GB_per_s above 0");
    }
    if (!(link.latency_seconds >= 0)) return fault("needs latency_us of 0 or more");
    const bool both = entry.contains("between");
    if (both == (entry.contains("from") || entry.contains("to"))) {
      return fault("needs either between = [A, B], or from and to");
    }
    const json ends = both ? entry["between"]
                           : json::array({entry.value("from", json()), entry.value("to", json())});
    if (!ends.is_array() || ends.size() != 2 || !is_rank(ends[0]) || !is_rank(ends[1]) ||
        ends[0] == ends[1]) {
      return fault(fmt::format("needs two different ranks from 0 to {}", file_.ranks - 1));
    }
    place(ends[0].get<int>(), ends[1].get<int>(), link);
    if (both) place(ends[1].get<int>(), ends[0].get<int>(), link);
  }

  double number(const json& entry, const char* key, double otherwise) {
    if (!entry.contains(key)) return otherwise;
    return entry[key].is_number() ? entry[key].get<double>() : std::nan("");
  }
  bool is_rank(const json& value) const {
    return value.is_number_integer() && value >= 0 && value < file_.ranks;
  }
  void place(int from, int to, const Link& link) {
    if (topology_.link(from, to).exists()) {
      return fault(fmt::format("says again how rank {} reaches rank {}", from, to));
    }
    topology_.set(from, to, link);
  }

  const TopologyFile& file_;
  std::vector<std::string>& faults_;
  Topology topology_;
  int number_ = 0;
};

}  // namespace

Topology Topology::clique(int size, const Link& link) {
  Topology topology(size);
  for (int from = 0; from < size; ++from) {
    for (int to = 0; to < size; ++to) {
      if (from != to) topology.set(from, to, link);
    }
  }
  return topology;
}

double Topology::both_ways(int a, int b) const {
  return std::min(link(a, b).bytes_per_second, link(b, a).bytes_per_second);
}

Topology Topology::among(const std::vector<int>& ranks) const {
  Topology part(static_cast<int>(ranks.size()));
  for (int from = 0; from < part.size(); ++from) {
    for (int to = 0; to < part.size(); ++to) part.set(from, to, link(ranks[from], ranks[to]));
  }
  return part;
}

std::string Topology::text() const {
  std::string text = fmt::format("{} ranks\n", size_);
  for (int from = 0; from < size_; ++from) {
    for (int to = 0; to < size_; ++to) {
      const Link& one = link(from, to);
      if (!one.exists()) continue;
      text += fmt::format("{}>{} {} bytes/s after {} s\n", from, to, one.bytes_per_second,
                          one.latency_seconds);
    }
  }
  return text;
}

Topology topology_from(std::string_view text, std::string_view source) {
  TopologyFile file;
  read_toml(text, source, {describe(file)});
  std::vector<std::string> faults;
  if (file.ranks < 1 || file.ranks > kMostRanks) {
    throw InvalidInput(
        fmt::format("{}: ranks is {}; give 1 to {}", source, file.ranks, kMostRanks));
  }
  Topology topology = LinkReader(file, faults).read();
  for (std::string& fault : faults) fault = fmt::format("{}: {}", source, fault);
  require_none(faults);
  return topology;
}

Topology read_topology(const std::filesystem::path& path) {
  return topology_from(read_file(path), path.string());
}

}  // namespace shoal
