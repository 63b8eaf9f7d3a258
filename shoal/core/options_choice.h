// The template part of options.h: an option that takes one of several named values.
#pragma once

#include <memory>

namespace shoal {
namespace detail {
// Untyped core of `choice`: index-based, so that the template stays a few lines.
Option choice_by_index(std::string name, std::vector<std::string> names, std::string help,
                       std::function<std::size_t()> get, std::function<void(std::size_t)> set);
}  // namespace detail

template <typename Enum>
Option choice(std::string name, Enum& field, const std::vector<std::pair<std::string, Enum>>& names,
              std::string help) {
  std::vector<std::string> words;
  std::vector<Enum> values;
  for (const auto& [word, value] : names) {
    words.push_back(word);
    values.push_back(value);
  }
  const auto index_of = [values, &field] {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] == field) return i;
    }
    return std::size_t{0};
  };
  return detail::choice_by_index(std::move(name), std::move(words), std::move(help), index_of,
                                 [values, &field](std::size_t i) { field = values[i]; });
}

}  // namespace shoal
