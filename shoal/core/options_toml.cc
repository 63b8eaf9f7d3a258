// Reads TOML into option tables. The only file of core that sees toml++.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "shoal/core/error.h"
#include "shoal/core/options_detail.h"
#include "shoal/core/utf8.h"

namespace shoal {
namespace {

using nlohmann::json;

struct KeyAndNode {
  const toml::key* key;
  const toml::node* node;
};

// toml++ sorts by name; faults and ordered tables want the order of the text.
std::vector<KeyAndNode> in_file_order(const toml::table& table) {
  std::vector<KeyAndNode> entries;
  for (const auto& [key, node] : table) entries.push_back({&key, &node});
  std::ranges::stable_sort(entries, [](const KeyAndNode& a, const KeyAndNode& b) {
    const toml::source_position left = a.key->source().begin;
    const toml::source_position right = b.key->source().begin;
    return std::pair(left.line, left.column) < std::pair(right.line, right.column);
  });
  return entries;
}

json to_json(const toml::node& node, bool keeps_order = false) {
  if (const toml::table* table = node.as_table()) {
    json result = keeps_order ? json::array() : json::object();
    for (const KeyAndNode& entry : in_file_order(*table)) {
      const std::string name(entry.key->str());
      json value = to_json(*entry.node);
      if (keeps_order) {
        result.push_back(json::array({name, std::move(value)}));
      } else {
        result[name] = std::move(value);
      }
    }
    return result;
  }
  if (const toml::array* array = node.as_array()) {
    json result = json::array();
    for (const toml::node& element : *array) result.push_back(to_json(element));
    return result;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* number = node.as_floating_point()) {
    // JSON has no infinity: there it is text, which number options take.
    if (std::isinf(number->get())) return number->get() > 0 ? "inf" : "-inf";
    return number->get();
  }
  std::ostringstream date;  // dates and times stay as they are written
  node.visit([&](const auto& value) {
    if constexpr (toml::is_chronological<decltype(value)>) date << value;
  });
  return date.str();
}

// Walks the text's tables beside the known ones and collects every fault.
class Reading {
 public:
  Reading(std::string_view source, std::vector<OptionTable>& tables)
      : source_(source), tables_(tables) {}

  void walk(const toml::table& table, const std::string& name) {
    for (const KeyAndNode& entry : in_file_order(table)) {
      const std::string key(entry.key->str());
      const std::string full = name.empty() ? key : name + "." + key;
      OptionTable* const known = detail::find_table(tables_, name);
      Option* const option = known ? detail::find_option(*known, key) : nullptr;
      if (option) {
        std::vector<std::string> faults;
        detail::set_option(*option, name, to_json(*entry.node, option->keeps_order), where(entry),
                           faults);
        for (std::string& fault : faults) faults_.push_back({line_of(entry), std::move(fault)});
      } else if (leads_to_a_table(full)) {
        descend(entry, full);
      } else if (is_header(*entry.node)) {
        add(entry, detail::unknown_table(full, tables_));
      } else {
        add(entry, detail::unknown_key(key, name, tables_));
      }
    }
  }

  std::vector<std::string> take_faults() {
    // Tables are visited in the order of their headers, but dotted ones inside their parents.
    std::ranges::stable_sort(faults_, {}, &Fault::line);
    std::vector<std::string> texts;
    for (Fault& fault : faults_) texts.push_back(std::move(fault.text));
    return texts;
  }

 private:
  struct Fault {
    std::size_t line;
    std::string text;
  };

  void descend(const KeyAndNode& entry, const std::string& full) {
    if (const toml::table* table = entry.node->as_table()) return walk(*table, full);
    add(entry, fmt::format("{} is a table: write [{}] and its keys below", full, full));
  }

  bool leads_to_a_table(const std::string& name) const {
    return std::ranges::any_of(tables_, [&](const OptionTable& table) {
      return table.name == name || table.name.starts_with(name + ".");
    });
  }

  static bool is_header(const toml::node& node) {
    const toml::table* table = node.as_table();
    return (table && !table->is_inline()) || node.is_array_of_tables();
  }

  static std::size_t line_of(const KeyAndNode& entry) { return entry.key->source().begin.line; }

  std::string where(const KeyAndNode& entry) const {
    return fmt::format("{}:{}", source_, line_of(entry));
  }

  void add(const KeyAndNode& entry, std::string_view fault) {
    faults_.push_back({line_of(entry), fmt::format("{}: {}", where(entry), fault)});
  }

  std::string_view source_;
  std::vector<OptionTable>& tables_;
  std::vector<Fault> faults_;
};

}  // namespace

void read_toml(std::string_view text, std::string_view source, std::vector<OptionTable> tables) {
  if (const auto offset = first_invalid_utf8(text)) {
    throw InvalidInput(
        fmt::format("{}: not UTF-8 text: byte 0x{:02x} at offset {}: save the file "
                    "as UTF-8",
                    source, static_cast<unsigned char>(text[*offset]), *offset));
  }
  toml::table parsed;
  try {
    parsed = toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    throw InvalidInput(
        fmt::format("{}:{}: {}", source, error.source().begin.line, error.description()));
  }
  Reading reading(source, tables);
  reading.walk(parsed, "");
  require_none(reading.take_faults());
}

std::optional<json> detail::toml_value(std::string_view text, bool keeps_order) {
  if (first_invalid_utf8(text)) return std::nullopt;
  try {
    const toml::table parsed = toml::parse(fmt::format("value = {}", text));
    // More than one key: the text went on in a second line.
    if (parsed.size() != 1) return std::nullopt;
    return to_json(*parsed.get("value"), keeps_order);
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

}  // namespace shoal
