// A placement in an index file: {"name", "shape", "box": [[begin, end], ...], "elements"}.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/mesh/placement.h"

namespace shoal {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys[] = {"name", "shape", "box", "elements"};

std::int64_t integer_in(const json& value) {
  // What 64 bits with a sign cannot hold is unsigned or floating for the JSON reader.
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX);
  if (!fits) throw InvalidInput(fmt::format("a placement has {} for an integer", value.dump()));
  return value.get<std::int64_t>();
}

void require_list(const json& value) {
  if (value.is_array()) return;
  throw InvalidInput(fmt::format("a placement has {} for a list", value.dump()));
}

Range range_in(const json& value) {
  require_list(value);
  if (value.size() != 2) {
    throw InvalidInput(fmt::format("a placement has {} for [begin, end]", value.dump()));
  }
  return {integer_in(value[0]), integer_in(value[1])};
}

json range_to_json(const Range& range) { return json::array({range.begin, range.end}); }

}  // namespace

json to_json(const Placement& placement) {
  json box = json::array();
  for (const Range& range : placement.box) box.push_back(range_to_json(range));
  return {{"name", placement.name},
          {"shape", placement.shape},
          {"box", std::move(box)},
          {"elements", range_to_json(placement.elements)}};
}

Placement placement_from_json(const json& value) {
  for (const std::string_view key : kKeys) {
    if (!value.is_object() || !value.contains(key)) {
      throw InvalidInput(fmt::format("a placement lacks '{}'", key));
    }
  }
  if (!value["name"].is_string()) throw InvalidInput("the name of a placement is not text");
  Placement placement{.name = value["name"].get<std::string>(),
                      .shape = {},
                      .box = {},
                      .elements = range_in(value["elements"])};
  for (const char* list : {"shape", "box"}) require_list(value[list]);
  for (const json& size : value["shape"]) placement.shape.push_back(integer_in(size));
  for (const json& range : value["box"]) placement.box.push_back(range_in(range));
  require_none(placement.problems());
  return placement;
}

}  // namespace shoal
