// One constructor per type of field: what it accepts, and the sentence about what it does not.
#include "shoal/core/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <set>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/core/options_detail.h"

namespace shoal {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(std::string_view expected, const json& got) {
  constexpr std::size_t kShownCharacters = 60;
  std::string shown = detail::toml_text(got);
  if (shown.size() > kShownCharacters) {
    // Not in the middle of a character: continuation bytes of UTF-8 are 10xxxxxx.
    std::size_t end = kShownCharacters;
    while (end > 0 && (static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) --end;
    shown = shown.substr(0, end) + "...";
  }
  throw InvalidInput(fmt::format("expected {}, got {}", expected, shown));
}

std::int64_t integer_in(const json& value, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) refuse("an integer", value);
  const bool too_large =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high);
  if (too_large || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    refuse(fmt::format("an integer from {} to {}", low, high), value);
  }
  return value.get<std::int64_t>();
}

std::int64_t integer(const json& value) {
  using Limits = std::numeric_limits<std::int64_t>;
  return integer_in(value, Limits::min(), Limits::max());
}

// JSON has no infinity: there it is the text "inf".
double number(const json& value) {
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  if (!value.is_number()) refuse("a number", value);
  const double result = value.get<double>();
  if (std::isnan(result)) refuse("a number", value);
  return result;
}

json number_to_json(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

std::string text(const json& value) {
  if (!value.is_string()) refuse("text in quotes", value);
  return value.get<std::string>();
}

// "none" and JSON's null: no value.
bool is_none(const json& value) { return value.is_null() || value == "none"; }

std::vector<std::string> texts(const json& value) {
  if (!value.is_array()) refuse("a list of text", value);
  std::vector<std::string> result;
  for (const json& element : value) {
    if (!element.is_string()) refuse("a list of text", value);
    result.push_back(element.get<std::string>());
  }
  return result;
}

// From a list of [name, integer], which keeps an order, or from an object, which has none.
std::vector<std::pair<std::string, std::int64_t>> named_integers(const json& value) {
  constexpr std::string_view kExpected = "a table of integers such as { data = 2 }";
  std::vector<std::pair<std::string, std::int64_t>> result;
  std::set<std::string> seen;
  const auto add = [&](const std::string& name, const json& element) {
    if (!element.is_number_integer()) refuse(kExpected, value);
    if (!seen.insert(name).second) throw InvalidInput(fmt::format("'{}' stands twice", name));
    result.emplace_back(name, integer(element));
  };
  if (value.is_object()) {
    for (const auto& [name, element] : value.items()) add(name, element);
    return result;
  }
  if (!value.is_array()) refuse(kExpected, value);
  for (const json& pair : value) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) refuse(kExpected, value);
    add(pair[0].get<std::string>(), pair[1]);
  }
  return result;
}

std::map<std::string, std::vector<std::string>> named_texts(const json& value) {
  constexpr std::string_view kExpected = "a table such as { batch = \"data\" } or { a = [\"b\"] }";
  if (!value.is_object()) refuse(kExpected, value);
  std::map<std::string, std::vector<std::string>> result;
  for (const auto& [name, element] : value.items()) {
    if (element.is_string()) {
      result[name] = {element.get<std::string>()};
      continue;
    }
    if (!element.is_array()) refuse(kExpected, value);
    for (const json& word : element) {
      if (!word.is_string()) refuse(kExpected, value);
    }
    result[name] = element.get<std::vector<std::string>>();
  }
  return result;
}

Option make(std::string name, std::string type, std::string help,
            std::function<void(const json&)> set, std::function<json()> get) {
  std::string shown = detail::toml_text(get());
  return {.name = std::move(name),
          .type = std::move(type),
          .help = std::move(help),
          .shown_default = std::move(shown),
          .set = std::move(set),
          .get = std::move(get)};
}

}  // namespace

Option with_values(Option option, std::vector<std::string> values) {
  option.values = std::move(values);
  return option;
}

OptionTable may_change(OptionTable table, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    Option* const option = detail::find_option(table, key);
    check(option != nullptr, fmt::format("[{}] has no key '{}'", table.name, key));
    option->on_resume = OnResume::may_change;
  }
  return table;
}

OptionTable may_change(OptionTable table) {
  for (Option& option : table.options) option.on_resume = OnResume::may_change;
  return table;
}

Option option(std::string name, std::int64_t& field, std::string help) {
  return make(
      std::move(name), "integer", std::move(help),
      [&field](const json& value) { field = integer(value); }, [&field] { return json(field); });
}

Option option(std::string name, int& field, std::string help) {
  return make(
      std::move(name), "integer", std::move(help),
      [&field](const json& value) {
        using Limits = std::numeric_limits<int>;
        field = static_cast<int>(integer_in(value, Limits::min(), Limits::max()));
      },
      [&field] { return json(field); });
}

Option option(std::string name, double& field, std::string help) {
  return make(
      std::move(name), "number", std::move(help),
      [&field](const json& value) { field = number(value); },
      [&field] { return number_to_json(field); });
}

Option option(std::string name, bool& field, std::string help) {
  return with_values(make(
                         std::move(name), "true or false", std::move(help),
                         [&field](const json& value) {
                           if (!value.is_boolean()) refuse("true or false", value);
                           field = value.get<bool>();
                         },
                         [&field] { return json(field); }),
                     {"true", "false"});
}

Option option(std::string name, std::string& field, std::string help) {
  return make(
      std::move(name), "text", std::move(help),
      [&field](const json& value) { field = text(value); }, [&field] { return json(field); });
}

Option option(std::string name, std::optional<std::int64_t>& field, std::string help) {
  return make(
      std::move(name), "integer or \"none\"", std::move(help),
      [&field](const json& value) {
        field = is_none(value) ? std::nullopt : std::optional(integer(value));
      },
      [&field] { return field ? json(*field) : json(); });
}

Option option(std::string name, std::optional<double>& field, std::string help) {
  return make(
      std::move(name), "number or \"none\"", std::move(help),
      [&field](const json& value) {
        field = is_none(value) ? std::nullopt : std::optional(number(value));
      },
      [&field] { return field ? number_to_json(*field) : json(); });
}

Option option(std::string name, std::vector<std::string>& field, std::string help) {
  return make(
      std::move(name), "list of text", std::move(help),
      [&field](const json& value) { field = texts(value); }, [&field] { return json(field); });
}

Option option(std::string name, std::vector<double>& field, std::string help) {
  return make(
      std::move(name), "list of numbers", std::move(help),
      [&field](const json& value) {
        if (!value.is_array()) refuse("a list of numbers", value);
        std::vector<double> numbers;
        for (const json& element : value) numbers.push_back(number(element));
        field = std::move(numbers);
      },
      [&field] {
        json numbers = json::array();
        for (const double value : field) numbers.push_back(number_to_json(value));
        return numbers;
      });
}

Option option(std::string name, std::vector<std::int64_t>& field, std::string help) {
  return make(
      std::move(name), "list of integers", std::move(help),
      [&field](const json& value) {
        if (!value.is_array()) refuse("a list of integers", value);
        std::vector<std::int64_t> integers;
        for (const json& element : value) integers.push_back(integer(element));
        field = std::move(integers);
      },
      [&field] { return json(field); });
}

Option option(std::string name, std::vector<std::pair<std::string, std::int64_t>>& field,
              std::string help) {
  Option made = make(
      std::move(name), "table of integers", std::move(help),
      [&field](const json& value) { field = named_integers(value); },
      [&field] {
        json pairs = json::array();
        for (const auto& [key, value] : field) pairs.push_back(json::array({key, value}));
        return pairs;
      });
  made.keeps_order = true;
  made.shown_default = detail::toml_text(made.get(), true);
  return made;
}

Option option(std::string name, std::map<std::string, std::vector<std::string>>& field,
              std::string help) {
  return make(
      std::move(name), "table of text or lists of text", std::move(help),
      [&field](const json& value) { field = named_texts(value); },
      [&field] {
        json object = json::object();
        for (const auto& [key, words] : field) {
          object[key] = words.size() == 1 ? json(words[0]) : json(words);
        }
        return object;
      });
}

Option option(std::string name, json& field, std::string help) {
  return make(
      std::move(name), "any value", std::move(help), [&field](const json& value) { field = value; },
      [&field] { return field; });
}

Option detail::choice_by_index(std::string name, std::vector<std::string> names, std::string help,
                               std::function<std::size_t()> get,
                               std::function<void(std::size_t)> set) {
  check(!names.empty(), "a choice needs at least one name");
  const std::string type = fmt::format("one of \"{}\"", fmt::join(names, "\", \""));
  const auto choose = [names, type, set = std::move(set)](const json& value) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (value == names[i]) return set(i);
    }
    const auto meant = value.is_string() ? nearest(value.get<std::string>(), names) : std::nullopt;
    refuse(meant ? fmt::format("{} (did you mean \"{}\"?)", type, *meant) : type, value);
  };
  return with_values(make(std::move(name), type, std::move(help), choose,
                          [names, get = std::move(get)] { return json(names.at(get())); }),
                     names);
}

}  // namespace shoal
