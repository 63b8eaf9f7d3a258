// One layer as it stands in a job file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shoal/model/layer.h"

namespace shoal {

// `place` begins messages: "layers[2]". Faults are added to `faults`; then the entry is not usable.
LayerEntry read_layer(const nlohmann::json& entry, const std::string& place,
                      const std::vector<LayerType>& types, std::vector<std::string>& faults);

}  // namespace shoal
