#include "shoal/launch/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "shoal/core/error.h"

namespace shoal {
namespace {

constexpr int kMostSlots = 4096;

// ssh would take a name with a leading dash as an option.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".-_@:%").find(c) != std::string_view::npos;
  });
}

std::optional<int> slots_of(std::string_view word) {
  constexpr std::string_view kKey = "slots=";
  if (!word.starts_with(kKey)) return std::nullopt;
  word.remove_prefix(kKey.size());
  int slots = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), slots);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  if (slots < 1 || slots > kMostSlots) return std::nullopt;
  return slots;
}

}  // namespace

std::vector<Host> parse_hosts(std::string_view text, std::string_view source, int default_slots) {
  std::vector<Host> hosts;
  std::vector<std::string> faults;
  int number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    line = line.substr(0, line.find('#'));
    const auto words = split_words(line);
    if (words.empty()) continue;
    const auto slots = words.size() == 2 ? slots_of(words[1]) : std::nullopt;
    if (!is_host_name(words[0]) || words.size() > 2 || (words.size() == 2 && !slots)) {
      faults.push_back(fmt::format("{} line {}: '{}' is not HOST or HOST slots=N (1 to {})", source,
                                   number, line, kMostSlots));
      continue;
    }
    hosts.push_back({.name = words[0], .slots = slots.value_or(default_slots)});
  }
  if (faults.empty() && hosts.empty()) {
    faults.push_back(fmt::format("{} names no host: give one a line", source));
  }
  require_none(faults);
  return hosts;
}

std::string address_of(const Host& host) { return host.name.substr(host.name.rfind('@') + 1); }

std::vector<std::string> split_words(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  std::vector<std::string> words;
  while (true) {
    const auto begin = text.find_first_not_of(kWhite);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const auto end = std::min(text.find_first_of(kWhite), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::string shell_quoted(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string shell_quoted(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += shell_quoted(std::string_view(word));
  }
  return line;
}

}  // namespace shoal
