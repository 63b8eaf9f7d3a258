// Strict reading of JSON objects, and JSON that people can read: shared by the files of facts and
// of programs.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/core/element_type.h"

namespace shoal {

// One object: every field it has must be asked for, and every field asked for must be there with
// the right kind. Throws InvalidInput: "<where>: 'block' is "x": give a whole number".
// Borrows the object; not for use from several threads.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where);

  const std::string& where() const { return where_; }
  bool has(const std::string& name) const { return object_.contains(name); }

  // A whole number from `least` to the largest of its type.
  std::int64_t integer(const std::string& name, std::int64_t least = 0);
  int small_integer(const std::string& name, int least = 0);
  double number(const std::string& name);  // finite
  bool boolean(const std::string& name);
  std::string text(const std::string& name);
  ElementType element_type(const std::string& name);
  std::vector<std::int64_t> integers(const std::string& name, std::int64_t least = 0);
  std::vector<std::string> texts(const std::string& name);
  const nlohmann::json& list(const std::string& name);
  const nlohmann::json& object(const std::string& name);
  // The field must be the text `expected`: the format's name and version.
  void expect_text(const std::string& name, std::string_view expected);

  // Refuses fields that nobody asked for; the last call.
  void finish();

  // InvalidInput: "<where>: '<name>' is <value>: <remedy>".
  [[noreturn]] void refuse(const std::string& name, std::string_view remedy) const;

 private:
  const nlohmann::json& field(const std::string& name);

  const nlohmann::json& object_;
  std::string where_;
  std::vector<std::string> asked_;
};

// JSON with each list and object on one line where it fits, so that an operation or a tensor is a
// line or a few. Ends with a line break; parses back to the same value.
// Cost: O(length x depth).
std::string readable(const nlohmann::ordered_json& value);

}  // namespace shoal
