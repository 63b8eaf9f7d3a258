#include "shoal/launch/nodelist.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr int kMostTasks = 1 << 20;

[[noreturn]] void malformed(std::string_view kind, std::string_view text) {
  throw InvalidInput(fmt::format("'{}' is not a {}: a form like {} was expected", text, kind,
                                 kind == "list of hosts" ? "node[01-04,07],other" : "4(x2),3"));
}

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "001-003,007" -> "001"; checks every part.
std::string_view first_number(std::string_view inside, std::string_view whole) {
  std::string_view first;
  while (true) {
    const auto comma = inside.find(',');
    const std::string_view part = inside.substr(0, comma);
    const auto dash = part.find('-');
    const std::string_view low = part.substr(0, dash);
    const bool range = dash != std::string_view::npos;
    if (!is_number(low) || (range && !is_number(part.substr(dash + 1)))) {
      malformed("list of hosts", whole);
    }
    if (first.empty()) first = low;
    if (comma == std::string_view::npos) return first;
    inside.remove_prefix(comma + 1);
  }
}

int to_tasks(std::string_view text, std::string_view whole) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMostTasks) {
    malformed("list of tasks", whole);
  }
  return value;
}

}  // namespace

std::string first_host(std::string_view nodelist) {
  std::string host;
  std::size_t at = 0;
  while (at < nodelist.size() && nodelist[at] != ',') {
    if (nodelist[at] == ']' || nodelist[at] == ' ') malformed("list of hosts", nodelist);
    if (nodelist[at] != '[') {
      host += nodelist[at++];
      continue;
    }
    const auto close = nodelist.find(']', at);
    if (close == std::string_view::npos) malformed("list of hosts", nodelist);
    host += first_number(nodelist.substr(at + 1, close - at - 1), nodelist);
    at = close + 1;
  }
  if (host.empty()) malformed("list of hosts", nodelist);
  return host;
}

std::vector<int> tasks_by_node(std::string_view tasks) {
  std::vector<int> counts;
  std::string_view rest = tasks;
  while (true) {
    const auto comma = rest.find(',');
    std::string_view part = rest.substr(0, comma);
    int times = 1;
    if (const auto open = part.find("(x"); open != std::string_view::npos) {
      if (part.back() != ')') malformed("list of tasks", tasks);
      times = to_tasks(part.substr(open + 2, part.size() - open - 3), tasks);
      part = part.substr(0, open);
    }
    const int count = to_tasks(part, tasks);
    if (counts.size() + static_cast<std::size_t>(times) > kMostTasks) {
      malformed("list of tasks", tasks);
    }
    counts.insert(counts.end(), static_cast<std::size_t>(times), count);
    if (comma == std::string_view::npos) return counts;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace shoal
