// Option tables to JSON and TOML, and back from JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <cmath>

#include "shoal/core/error.h"
#include "shoal/core/options_detail.h"

namespace shoal {
namespace {

using nlohmann::json;

std::string quoted(const std::string& text) {
  // A TOML basic string escapes what JSON escapes, and DEL besides.
  std::string out = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  for (std::size_t at = 0; (at = out.find('\x7F', at)) != std::string::npos;) {
    out.replace(at, 1, "\\u007F");
  }
  return out;
}

std::string key_text(const std::string& key) {
  const auto is_bare = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  bool bare = !key.empty();
  for (const char c : key) bare = bare && is_bare(static_cast<unsigned char>(c));
  return bare ? key : quoted(key);
}

// The shortest text that reads back as the same number and is not an integer.
std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string table_text(const std::vector<std::string>& entries) {
  return entries.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(entries, ", "));
}

}  // namespace

std::string detail::toml_text(const json& value, bool keeps_order) {
  if (value.is_null()) return "\"none\"";
  if (value.is_string()) return quoted(value.get<std::string>());
  if (value.is_number_float()) return number_text(value.get<double>());
  std::vector<std::string> parts;
  if (value.is_object()) {
    for (const auto& [name, element] : value.items()) {
      parts.push_back(fmt::format("{} = {}", key_text(name), toml_text(element)));
    }
    return table_text(parts);
  }
  if (value.is_array() && keeps_order) {
    for (const json& pair : value) {
      parts.push_back(
          fmt::format("{} = {}", key_text(pair.at(0).get<std::string>()), toml_text(pair.at(1))));
    }
    return table_text(parts);
  }
  if (value.is_array()) {
    for (const json& element : value) parts.push_back(toml_text(element));
    return fmt::format("[{}]", fmt::join(parts, ", "));
  }
  return value.dump();
}

json to_json(const std::vector<OptionTable>& tables) {
  json result = json::object();
  for (const OptionTable& table : tables) {
    json& values = result[table.name] = json::object();
    for (const Option& option : table.options) values[option.name] = option.get();
  }
  return result;
}

void from_json(const json& values, std::string_view source, std::vector<OptionTable> tables) {
  if (!values.is_object()) throw InvalidInput(fmt::format("{}: expected a JSON object", source));
  std::vector<std::string> faults;
  for (const auto& [name, keys] : values.items()) {
    OptionTable* const table = detail::find_table(tables, name);
    if (!table) {
      faults.push_back(fmt::format("{}: {}", source, detail::unknown_table(name, tables)));
      continue;
    }
    if (!keys.is_object()) {
      faults.push_back(fmt::format("{}: {} is not an object", source, detail::place(name)));
      continue;
    }
    for (const auto& [key, value] : keys.items()) {
      if (Option* const option = detail::find_option(*table, key)) {
        detail::set_option(*option, name, value, source, faults);
      } else {
        faults.push_back(fmt::format("{}: {}", source, detail::unknown_key(key, name, tables)));
      }
    }
  }
  require_none(std::move(faults));
}

std::string to_toml(const std::vector<OptionTable>& tables) {
  std::string keys_of_top_level;  // TOML wants them before the first table
  std::string rest;
  for (const OptionTable& table : tables) {
    std::string& out = table.name.empty() ? keys_of_top_level : rest;
    if (!table.name.empty()) out += fmt::format("\n[{}]\n", table.name);
    for (const Option& option : table.options) {
      const json value = option.get();
      if (value.is_null() && option.type == "any value")
        continue;  // TOML has no null; an absent key says it
      out += fmt::format("{} = {}\n", key_text(option.name),
                         detail::toml_text(value, option.keeps_order));
    }
  }
  std::string text = keys_of_top_level + rest;
  if (text.starts_with('\n')) text.erase(0, 1);
  return text;
}

}  // namespace shoal
