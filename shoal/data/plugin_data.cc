#include "shoal/data/plugin_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "shoal/core/error.h"
#include "shoal/core/plugin_library.h"

namespace shoal {
namespace {

std::string no_such_data(const DataOptions& options, const std::vector<std::string>& names) {
  if (names.empty()) {
    return fmt::format("data.plugin = \"{}\" has no data set: give a plugin that calls add_data",
                       options.plugin);
  }
  const std::string there_are = fmt::format("there are {}", fmt::join(names, ", "));
  if (options.dataset.empty()) return "data.dataset is empty: in the plugin " + there_are;
  const auto meant = nearest(options.dataset, names);
  return fmt::format("data.dataset is '{}', which {} does not have: {}", options.dataset,
                     options.plugin, meant ? fmt::format("did you mean '{}'?", *meant) : there_are);
}

void check_part(const DataOptions& options, const char* part, const Dataset& set) {
  const std::string what =
      fmt::format("{}: the {} part of data set '{}'", options.plugin, part, options.dataset);
  const auto& shape = set.sample_shape();
  if (shape.empty() || *std::min_element(shape.begin(), shape.end()) < 1) {
    throw InvalidInput(fmt::format("{} has samples of [{}]: give sizes of 1 or more", what,
                                   fmt::join(shape, ", ")));
  }
  if (set.classes() < 0 || set.size() < 0 || set.answers().count() < 1) {
    throw InvalidInput(fmt::format("{} has {} samples and {} classes: give numbers of 0 or more",
                                   what, set.size(), set.classes()));
  }
}

void check_parts(const DataOptions& options, const DataParts& parts) {
  if (!parts.train) {
    throw InvalidInput(fmt::format("{}: data set '{}' has no training part: set DataParts::train",
                                   options.plugin, options.dataset));
  }
  check_part(options, "training", *parts.train);
  if (!parts.test) return;
  check_part(options, "test", *parts.test);
  const auto form = [](const Dataset& set) {
    return fmt::format("[{}] and {}", fmt::join(set.sample_shape(), ", "), set.answers().text());
  };
  if (parts.test->sample_shape() == parts.train->sample_shape() &&
      parts.test->facts().ids == parts.train->facts().ids &&
      parts.test->answers() == parts.train->answers()) {
    return;
  }
  throw InvalidInput(
      fmt::format("{}: data set '{}' has test samples of {}, and training samples of {}: a model "
                  "takes one kind",
                  options.plugin, options.dataset, form(*parts.test), form(*parts.train)));
}

}  // namespace

std::vector<std::string> plugin_data_problems(const DataOptions& options) {
  std::vector<std::string> faults;
  if (options.name != DataName::plugin) {
    for (const auto& [key, value] :
         {std::pair("plugin", options.plugin), std::pair("dataset", options.dataset)}) {
      if (value.empty()) continue;
      faults.push_back(
          fmt::format("data.{} is '{}': only data.name = \"plugin\" takes one", key, value));
    }
    if (!options.settings.is_null()) {
      faults.emplace_back("data.settings is given: only data.name = \"plugin\" takes them");
    }
    return faults;
  }
  if (!options.settings.is_null() && !options.settings.is_object()) {
    faults.push_back(fmt::format("data.settings is {}: give a table such as {{ size = 1000 }}",
                                 options.settings.dump()));
  }
  if (options.plugin.empty()) {
    faults.emplace_back("data.plugin is empty: give the library that has the data set");
    return faults;
  }
  try {
    const auto names = load_plugin(options.plugin).names(PluginPart::data);
    if (std::find(names.begin(), names.end(), options.dataset) == names.end()) {
      faults.push_back(no_such_data(options, names));
    }
  } catch (const Error& error) {
    faults.push_back(fmt::format("data.plugin: {}", error.what()));
  }
  return faults;
}

DataParts open_plugin_data(const DataOptions& options, std::uint64_t seed, std::stop_token stop) {
  const auto& open =
      *load_plugin(options.plugin).find<OpenDataParts>(PluginPart::data, options.dataset);
  DataRequest request{
      .path = options.path, .settings = options.settings, .seed = seed, .stop = std::move(stop)};
  if (request.settings.is_null()) request.settings = nlohmann::json::object();
  DataParts parts;
  try {
    parts = in_plugin([&] { return open(request); });
  } catch (Error& error) {
    error.add_context(fmt::format("data set '{}' of {}", options.dataset, options.plugin));
    throw;
  }
  check_parts(options, parts);
  return parts;
}

}  // namespace shoal
