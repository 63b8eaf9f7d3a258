// How a job names parameters: by name, or by the beginning of their names and '*'.
#pragma once

#include <string>

namespace shoal {

inline bool is_name_pattern(const std::string& text) {
  const std::size_t star = text.find('*');
  return !text.empty() && (star == std::string::npos || star + 1 == text.size());
}

// `pattern`: see is_name_pattern.
inline bool matches_name(const std::string& pattern, const std::string& name) {
  if (!pattern.ends_with('*')) return name == pattern;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace shoal
