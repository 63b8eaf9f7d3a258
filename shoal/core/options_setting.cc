// One setting of the command line: table.key=value.
#include <fmt/format.h>

#include "shoal/core/error.h"
#include "shoal/core/options_detail.h"

namespace shoal {
namespace {

using nlohmann::json;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The shell takes quotes away, so what is not a TOML value is text; but a list, a table or a text
// that somebody began to quote is a slip of the pen.
json value_of(const std::string& text, const Option& option, std::string_view where) {
  std::optional<json> value = detail::toml_value(text, option.keeps_order);
  const bool begun = !text.empty() && std::string_view("\"'[{").find(text[0]) != std::string::npos;
  if (!value && begun) {
    throw InvalidInput(fmt::format("{}: {} is not a TOML value", where, text));
  }
  // A text option given `1` or `true`: the text "1" is meant.
  if (!value || (option.type == "text" && !value->is_string())) value = text;
  return *value;
}

// "parallel.mesh" names an option, so "parallel.mesh.data" cannot name one.
std::optional<std::string> option_above(std::string_view path, std::vector<OptionTable>& tables) {
  for (OptionTable& table : tables) {
    for (const Option& option : table.options) {
      std::string full = table.name.empty() ? option.name : table.name + "." + option.name;
      if (path.starts_with(full + ".")) return full;
    }
  }
  return std::nullopt;
}

}  // namespace

void apply_setting(std::string_view setting, std::vector<OptionTable>& tables) {
  const std::string where = fmt::format("--set {}", setting);
  const auto equals = setting.find('=');
  const std::string_view path = trimmed(setting.substr(0, equals));
  if (equals == std::string_view::npos || path.empty()) {
    throw InvalidInput(fmt::format("{}: write table.key=value, for example train.lr=0.1", where));
  }
  const auto dot = path.rfind('.');
  const std::string_view table_name =
      dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  const std::string_view key = dot == std::string_view::npos ? path : path.substr(dot + 1);

  OptionTable* const table = detail::find_table(tables, table_name);
  Option* const option = table ? detail::find_option(*table, key) : nullptr;
  if (!option) {
    if (const auto above = option_above(path, tables)) {
      throw InvalidInput(fmt::format("{}: {} is one value: give it whole", where, *above));
    }
    throw InvalidInput(fmt::format("{}: {}", where,
                                   table || table_name.empty()
                                       ? detail::unknown_key(key, table_name, tables)
                                       : detail::unknown_table(table_name, tables)));
  }
  const std::string text(trimmed(setting.substr(equals + 1)));
  std::vector<std::string> faults;
  detail::set_option(*option, table_name, value_of(text, *option, where), where, faults);
  require_none(std::move(faults));
}

}  // namespace shoal
