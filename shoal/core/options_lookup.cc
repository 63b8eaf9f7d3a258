// Names: finding them, and saying which one was probably meant.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "shoal/core/error.h"
#include "shoal/core/options_detail.h"

namespace shoal {
namespace {

// Case and the choice between '-' and '_' are never what was meant to differ.
std::string folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// Optimal string alignment: insert, delete, replace, swap two neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

bool one_begins_with_the_other(std::string_view a, std::string_view b) {
  constexpr std::size_t kTellingLength = 3;
  const std::size_t shorter = std::min(a.size(), b.size());
  return shorter >= kTellingLength && a.substr(0, shorter) == b.substr(0, shorter);
}

}  // namespace

std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& known) {
  // Longer than any name of ours: nothing to gain, and the distance costs the product of lengths.
  constexpr std::size_t kLongestName = 100;
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  const std::string wanted = folded(name);
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(wanted, folded(candidate));
    const std::size_t allowed =
        std::max<std::size_t>(1, std::max(name.size(), candidate.size()) / 3);
    // A one-letter name is one edit from every other one: that says nothing.
    if (distance > allowed || (distance > 0 && std::max(name.size(), candidate.size()) < 2)) {
      continue;
    }
    if (!best || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (best) return best;
  for (const std::string& candidate : known) {
    if (one_begins_with_the_other(wanted, folded(candidate))) return candidate;
  }
  return std::nullopt;
}

namespace detail {

OptionTable* find_table(std::vector<OptionTable>& tables, std::string_view name) {
  const auto found = std::ranges::find(tables, name, &OptionTable::name);
  return found == tables.end() ? nullptr : &*found;
}

Option* find_option(OptionTable& table, std::string_view key) {
  const auto found = std::ranges::find(table.options, key, &Option::name);
  return found == table.options.end() ? nullptr : &*found;
}

std::string place(std::string_view table) {
  return table.empty() ? "the top level" : fmt::format("[{}]", table);
}

std::string unknown_key(std::string_view key, std::string_view table,
                        const std::vector<OptionTable>& tables) {
  const std::string fault = fmt::format("unknown key '{}' in {}", key, place(table));
  std::vector<std::string> known;
  std::vector<std::string> elsewhere;  // tables that have this very key
  for (const OptionTable& other : tables) {
    for (const Option& option : other.options) {
      if (other.name == table) known.push_back(option.name);
      if (other.name != table && option.name == key) elsewhere.push_back(place(other.name));
    }
  }
  if (!elsewhere.empty()) {
    return fmt::format("{}: it belongs to {}", fault, fmt::join(elsewhere, " or "));
  }
  if (const auto meant = nearest(key, known)) {
    return fmt::format("{}: did you mean '{}'?", fault, *meant);
  }
  if (known.empty()) return fmt::format("{}: no key may stand there", fault);
  return fmt::format("{}: known are {}", fault, fmt::join(known, ", "));
}

std::string unknown_table(std::string_view table, const std::vector<OptionTable>& tables) {
  std::vector<std::string> known;
  for (const OptionTable& other : tables) {
    if (!other.name.empty()) known.push_back(other.name);
  }
  if (const auto meant = nearest(table, known)) {
    return fmt::format("unknown table [{}]: did you mean [{}]?", table, *meant);
  }
  return fmt::format("unknown table [{}]: known are {}", table, fmt::join(known, ", "));
}

void set_option(Option& option, std::string_view table, const nlohmann::json& value,
                std::string_view where, std::vector<std::string>& faults) {
  try {
    option.set(value);
  } catch (const InvalidInput& wrong) {
    for (const std::string& fault : wrong.faults) {
      faults.push_back(fmt::format("{}: {} in {}: {}", where, option.name, place(table), fault));
    }
  }
}

}  // namespace detail
}  // namespace shoal
