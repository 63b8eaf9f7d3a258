#include "shoal/program/json_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "shoal/core/error.h"
#include "shoal/core/options.h"

namespace shoal {
namespace {

constexpr std::size_t kLine = 130;  // characters of a line that holds more than one value

std::string shortened(const nlohmann::json& value) {
  constexpr std::size_t kMost = 40;
  auto text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

bool fits_int64(const nlohmann::json& value) {
  if (!value.is_number_integer()) return false;
  return !value.is_number_unsigned() ||
         value.get<std::uint64_t>() <=
             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

using Ordered = nlohmann::ordered_json;

std::string name_in(const Ordered& value, const std::string& key) {
  return value.is_object() ? Ordered(key).dump() + ": " : "";
}

std::string on_one_line(const Ordered& value) {
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto& [key, item] : value.items()) {
    if (!text.empty()) text += ", ";
    text += name_in(value, key) + on_one_line(item);
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

void write(const Ordered& value, std::size_t indent, std::string& text) {
  const auto line = on_one_line(value);
  if (!value.is_structured() || value.empty() || indent + line.size() <= kLine) {
    text += line;
    return;
  }
  // Fields and plain numbers share lines; objects and lists in a list have one each.
  const bool fills = value.is_object() || !value.front().is_structured();
  text += value.is_object() ? '{' : '[';
  std::size_t used = indent + 1;  // of the present line
  bool is_first = true;
  for (const auto& [key, item] : value.items()) {
    const auto name = name_in(value, key);
    const auto size = name.size() + on_one_line(item).size() + 2;
    if (!is_first) text += ',';
    if (!fills || (used + size > kLine && !is_first)) {
      text += '\n' + std::string(indent + 1, ' ');
      used = indent + 1;
    } else if (!is_first) {
      text += ' ';
    }
    is_first = false;
    text += name;
    write(item, indent + 1, text);
    used += size;
  }
  text += value.is_object() ? '}' : ']';
}

}  // namespace

JsonFields::JsonFields(const nlohmann::json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) {
    throw InvalidInput(
        fmt::format("{}: found {} where an object {{...}} belongs", where_, shortened(object_)));
  }
}

const nlohmann::json& JsonFields::field(const std::string& name) {
  asked_.push_back(name);
  const auto found = object_.find(name);
  if (found == object_.end()) {
    throw InvalidInput(fmt::format("{}: the field '{}' is missing: add it", where_, name));
  }
  return *found;
}

void JsonFields::refuse(const std::string& name, std::string_view remedy) const {
  throw InvalidInput(
      fmt::format("{}: '{}' is {}: {}", where_, name, shortened(object_.at(name)), remedy));
}

std::int64_t JsonFields::integer(const std::string& name, std::int64_t least) {
  const auto& value = field(name);
  if (!fits_int64(value) || value.get<std::int64_t>() < least) {
    refuse(name, fmt::format("give a whole number of at least {}", least));
  }
  return value.get<std::int64_t>();
}

int JsonFields::small_integer(const std::string& name, int least) {
  const auto value = integer(name, least);
  if (value > std::numeric_limits<int>::max()) refuse(name, "the number is too large");
  return static_cast<int>(value);
}

double JsonFields::number(const std::string& name) {
  const auto& value = field(name);
  if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(name, "give a number");
  return value.get<double>();
}

bool JsonFields::boolean(const std::string& name) {
  const auto& value = field(name);
  if (!value.is_boolean()) refuse(name, "give true or false");
  return value.get<bool>();
}

std::string JsonFields::text(const std::string& name) {
  const auto& value = field(name);
  if (!value.is_string()) refuse(name, "give a text in quotes");
  return value.get<std::string>();
}

ElementType JsonFields::element_type(const std::string& name) {
  constexpr std::array kTypes{ElementType::float32,  ElementType::float64, ElementType::float16,
                              ElementType::bfloat16, ElementType::int8,    ElementType::int16,
                              ElementType::int32,    ElementType::int64,   ElementType::uint8,
                              ElementType::boolean};
  const auto given = text(name);
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](ElementType type) { return name_of(type) == given; });
  if (found == kTypes.end()) refuse(name, "give an element type such as \"float32\" or \"int64\"");
  return *found;
}

std::vector<std::int64_t> JsonFields::integers(const std::string& name, std::int64_t least) {
  std::vector<std::int64_t> numbers;
  for (const auto& value : list(name)) {
    if (!fits_int64(value) || value.get<std::int64_t>() < least) {
      refuse(name, fmt::format("give a list of whole numbers of at least {}", least));
    }
    numbers.push_back(value.get<std::int64_t>());
  }
  return numbers;
}

std::vector<std::string> JsonFields::texts(const std::string& name) {
  std::vector<std::string> all;
  for (const auto& value : list(name)) {
    if (!value.is_string()) refuse(name, "give a list of texts in quotes");
    all.push_back(value.get<std::string>());
  }
  return all;
}

const nlohmann::json& JsonFields::list(const std::string& name) {
  const auto& value = field(name);
  if (!value.is_array()) refuse(name, "give a list [...]");
  return value;
}

const nlohmann::json& JsonFields::object(const std::string& name) {
  const auto& value = field(name);
  if (!value.is_object()) refuse(name, "give an object {...}");
  return value;
}

void JsonFields::expect_text(const std::string& name, std::string_view expected) {
  if (text(name) != expected) {
    refuse(name, fmt::format("this version of shoal reads \"{}\"", expected));
  }
}

void JsonFields::finish() {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    const auto meant = nearest(name, asked_);
    const auto remedy = meant ? fmt::format("did you mean '{}'?", *meant)
                              : fmt::format("known here are {}", fmt::join(asked_, ", "));
    throw InvalidInput(fmt::format("{}: unknown field '{}': {}", where_, name, remedy));
  }
}

std::string readable(const Ordered& value) {
  std::string text;
  write(value, 0, text);
  return text + "\n";
}

}  // namespace shoal
