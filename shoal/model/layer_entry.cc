#include "shoal/model/layer_entry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "shoal/core/options.h"

namespace shoal {
namespace {

using Json = nlohmann::json;
using Kind = LayerSetting::Kind;

// Reads the entries of a job file; collects what is wrong with them.
class Reader {
 public:
  Reader(std::string place, const std::vector<LayerType>& types, std::vector<std::string>& faults)
      : place_(std::move(place)), types_(types), faults_(faults) {}

  LayerEntry read(const Json& entry) {
    if (entry.is_string()) {
      const LayerType* type = find(entry.get<std::string>());
      return type == nullptr ? LayerEntry{} : settings_of(*type, Json::object());
    }
    if (!entry.is_object() || entry.empty()) {
      fault("{} is no layer: write a name such as \"relu\" or a table such as {{linear = 128}}",
            entry.dump());
      return {};
    }
    return read_table(entry);
  }

 private:
  template <typename... Args>
  void fault(fmt::format_string<Args...> text, Args&&... args) {
    faults_.push_back(place_ + ": " + fmt::format(text, std::forward<Args>(args)...));
  }

  std::vector<std::string> known() const {
    std::vector<std::string> names;
    for (const LayerType& type : types_) names.push_back(type.name);
    return names;
  }

  const LayerType* find(const std::string& name) {
    for (const LayerType& type : types_) {
      if (type.name == name) return &type;
    }
    if (const auto meant = nearest(name, known())) {
      fault("unknown layer '{}': did you mean '{}'?", name, *meant);
    } else {
      fault("unknown layer '{}': there are {}", name, fmt::join(known(), ", "));
    }
    return nullptr;
  }

  // The one key that names a layer decides the kind; the others are its settings.
  LayerEntry read_table(const Json& table) {
    std::vector<std::string> named;
    for (const auto& [key, value] : table.items()) {
      for (const LayerType& type : types_) {
        if (type.name == key) named.push_back(key);
      }
    }
    if (named.size() > 1) {
      fault("{} are several layers in one table: give each its own entry", fmt::join(named, ", "));
      return {};
    }
    if (named.empty()) {
      find(table.begin().key());
      return {};
    }
    const LayerType& type = *find(named.front());
    Json settings = table;
    if (!type.takes_value()) {
      if (settings.at(type.name) != true) fault("{} takes no value: write true", type.name);
      settings.erase(type.name);
    }
    return settings_of(type, settings);
  }

  LayerEntry settings_of(const LayerType& type, const Json& given) {
    LayerEntry entry{.type = type, .settings = {}};
    std::vector<std::string> names;
    for (const LayerSetting& setting : type.settings) {
      names.push_back(setting.name);
      if (const auto value = given.find(setting.name); value != given.end()) {
        set(entry, setting, *value);
      } else if (setting.standard && setting.kind == Kind::layers) {
        entry.settings.layers[setting.name] = {};
      } else if (setting.standard) {
        entry.settings.numbers[setting.name] = *setting.standard;
      } else {
        fault("{} needs a value: write {{{} = ...}}", type.name, setting.name);
      }
    }
    for (const auto& [key, value] : given.items()) {
      if (std::find(names.begin(), names.end(), key) != names.end()) continue;
      const auto meant = nearest(key, names);
      fault("{} has no setting '{}'{}", type.name, key,
            meant           ? fmt::format(": did you mean '{}'?", *meant)
            : names.empty() ? std::string()
                            : fmt::format(": it has {}", fmt::join(names, ", ")));
    }
    return entry;
  }

  void set(LayerEntry& entry, const LayerSetting& setting, const Json& value) {
    const std::string what = fmt::format("{} = {}", setting.name, value.dump());
    switch (setting.kind) {
      case Kind::yes_no:
        if (!value.is_boolean()) return fault("{}: give true or false", what);
        entry.settings.numbers[setting.name] = value.get<bool>() ? 1 : 0;
        return;
      case Kind::sizes:
        return set_sizes(entry, what, value);
      case Kind::layers:
        return set_layers(entry, setting.name, value);
      case Kind::whole:
        if (!is_whole(value, setting.low, setting.high)) {
          return fault("{}: give a whole number from {} to {}", what, setting.low, setting.high);
        }
        break;
      case Kind::number:
        if (!value.is_number() || !(value.get<double>() >= setting.low) ||
            !(value.get<double>() < setting.high)) {
          return fault("{}: give a number from {} to below {}", what, setting.low, setting.high);
        }
        break;
    }
    entry.settings.numbers[setting.name] = value.get<double>();
  }

  void set_sizes(LayerEntry& entry, const std::string& what, const Json& value) {
    bool good = value.is_array() && !value.empty() && value.size() <= 6;
    for (const Json& size : value) good = good && is_whole(size, 1, 1 << 30);
    if (!good) return fault("{}: give 1 to 6 sizes, each 1 or more", what);
    entry.settings.sizes = value.get<Shape>();
  }

  void set_layers(LayerEntry& entry, const std::string& name, const Json& value) {
    if (!value.is_array() || value.empty()) {
      return fault("{} = {}: give a list of layers", name, value.dump());
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      entry.settings.layers[name].push_back(
          read_layer(value[i], fmt::format("{}.{}[{}]", place_, name, i), types_, faults_));
    }
  }

  static bool is_whole(const Json& value, double low, double high) {
    if (!value.is_number()) return false;
    const double number = value.get<double>();
    return number >= low && number <= high && std::floor(number) == number;
  }

  std::string place_;
  const std::vector<LayerType>& types_;
  std::vector<std::string>& faults_;
};

}  // namespace

LayerEntry read_layer(const Json& entry, const std::string& place,
                      const std::vector<LayerType>& types, std::vector<std::string>& faults) {
  return Reader(place, types, faults).read(entry);
}

}  // namespace shoal
