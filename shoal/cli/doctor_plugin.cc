#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shoal/cli/doctor_checks.h"
#include "shoal/core/error.h"
#include "shoal/core/plugin_library.h"
#include "shoal/model/plugin_models.h"

namespace shoal {

Finding check_plugin(const std::string& file) {
  Finding finding{.subject = "plugin", .looked_at = file, .found = {}};
  try {
    const ModelParts refuses_names_of_shoal(file);
    const PluginRegistry& registry = load_plugin(file);
    finding.found = "built against " + text_of(read_plugin_stamp(file));
    for (const PluginPart part : {PluginPart::model, PluginPart::layer, PluginPart::data}) {
      const auto names = registry.names(part);
      if (names.empty()) continue;
      finding.found += fmt::format("; {}{} {}", name_of(part), names.size() > 1 ? "s" : "",
                                   fmt::join(names, ", "));
    }
  } catch (const Error& error) {
    finding.found = error.what();
    finding.standing = Standing::hinders;
    finding.remedy = "jobs with this plugin are refused; others are not";
  }
  return finding;
}

}  // namespace shoal
