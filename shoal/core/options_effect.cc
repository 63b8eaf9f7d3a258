// Which keys matter under which others.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "shoal/core/check.h"
#include "shoal/core/options_detail.h"

namespace shoal {
namespace {

// "a, b or c".
std::string any_of(const std::vector<std::string>& values) {
  if (values.size() == 1) return values.front();
  return fmt::format("{} or {}", fmt::join(values.begin(), values.end() - 1, ", "), values.back());
}

std::string words_of(const OnlyWith& other) {
  std::string words = other.key + " " + (other.values.empty() ? "above 0" : any_of(other.values));
  for (const OnlyWith& more : other.or_with) words += " or " + words_of(more);
  return words;
}

// The option `key` of the table `table`, or of the one that it names itself.
struct Found {
  std::string table;
  const Option* option;
  std::string text(const std::string& seen_from) const {
    return fmt::format("{}{} = {}", table == seen_from ? "" : detail::place(table) + " ",
                       option->name, detail::toml_text(option->get(), option->keeps_order));
  }
};
Found find(const std::string& key, const std::string& table, std::vector<OptionTable>& tables) {
  const std::size_t dot = key.rfind('.');
  const std::string in = dot == key.npos ? table : key.substr(0, dot);
  OptionTable* const owner = detail::find_table(tables, in);
  const Option* const option =
      owner == nullptr ? nullptr
                       : detail::find_option(*owner, key.substr(dot == key.npos ? 0 : dot + 1));
  check(option != nullptr, fmt::format("[{}] has a key that depends on {}", table, key));
  return {in, option};
}

bool holds(const OnlyWith& other, const std::string& table, std::vector<OptionTable>& tables) {
  const nlohmann::json value = find(other.key, table, tables).option->get();
  if (other.values.empty() && value.is_number() && value.get<double>() > 0) return true;
  if (value.is_string() && std::find(other.values.begin(), other.values.end(),
                                     value.get<std::string>()) != other.values.end()) {
    return true;
  }
  return std::any_of(other.or_with.begin(), other.or_with.end(),
                     [&](const OnlyWith& more) { return holds(more, table, tables); });
}

}  // namespace

Option only_with(const OnlyWith& other, Option option) {
  option.only_with.push_back(other);
  return option;
}

std::string whole_help(const Option& option) {
  if (option.only_with.empty()) return option.help;
  std::vector<std::string> others;
  for (const OnlyWith& other : option.only_with) others.push_back(words_of(other));
  return fmt::format("{} Only with {}.", option.help, fmt::join(others, " and "));
}

std::optional<Idle> why_idle(const Option& option, const std::string& table,
                             std::vector<OptionTable>& tables) {
  for (const OnlyWith& other : option.only_with) {
    if (holds(other, table, tables)) continue;
    return Idle{.because = other, .found = find(other.key, table, tables).text(table)};
  }
  return std::nullopt;
}

std::vector<std::string> without_effect(std::vector<OptionTable>& tables,
                                        const std::vector<OptionTable>& standard) {
  std::vector<std::string> sentences;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const OptionTable& table = tables[t];
    for (std::size_t i = 0; i < table.options.size(); ++i) {
      const Option& option = table.options[i];
      if (option.get() == standard.at(t).options.at(i).get()) continue;
      const auto why = why_idle(option, table.name, tables);
      if (!why) continue;
      sentences.push_back(fmt::format("{} {} has no effect with {}", detail::place(table.name),
                                      option.name, why->found));
    }
  }
  return sentences;
}

}  // namespace shoal
