// Limits that every store holds to, so that a job that works on one works on all.
#pragma once

#include <cstddef>
#include <string>

#include "shoal/core/error.h"

namespace shoal {

constexpr std::size_t kLongestKey = 1024;
constexpr std::size_t kLargestValue = std::size_t{16} << 20;

inline void check_key(const std::string& key) {
  if (key.size() > kLongestKey) {
    throw InvalidInput("a key of the store has " + std::to_string(key.size()) +
                       " bytes; at most 1024 are allowed: \"" + key.substr(0, 60) + "...\"");
  }
}

inline void check_value(const std::string& key, const std::string& value) {
  if (value.size() > kLargestValue) {
    throw InvalidInput("the value for key \"" + key + "\" of the store has " +
                       std::to_string(value.size()) + " bytes; at most 16 MiB are allowed");
  }
}

}  // namespace shoal
