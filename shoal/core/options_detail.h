// What the files of options share: finding keys, sentences about unknown ones, and TOML values.
// Inside core only; others include options.h.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/options.h"

namespace shoal::detail {

// Null when there is none of that name.
OptionTable* find_table(std::vector<OptionTable>& tables, std::string_view name);
Option* find_option(OptionTable& table, std::string_view key);

// "[train]", or "the top level" for "".
std::string place(std::string_view table);

// "unknown key 'lrr' in [train]: did you mean 'lr'?"; says so when another table has the key.
std::string unknown_key(std::string_view key, std::string_view table,
                        const std::vector<OptionTable>& tables);
std::string unknown_table(std::string_view table, const std::vector<OptionTable>& tables);

// Sets the option and adds what is wrong, if anything, as "<where>: <key> in [table]: <fault>".
void set_option(Option& option, std::string_view table, const nlohmann::json& value,
                std::string_view where, std::vector<std::string>& faults);

// A value as it stands right of `=` in TOML; nothing when `text` is not one value. With
// `keeps_order` a table becomes a list of [name, value] in the order of the text.
std::optional<nlohmann::json> toml_value(std::string_view text, bool keeps_order);

// A JSON value as TOML writes it, on one line.
std::string toml_text(const nlohmann::json& value, bool keeps_order = false);

}  // namespace shoal::detail
