// Job files to begin with.
#pragma once

#include <string>
#include <vector>

namespace shoal {

// What is known to train this model well enough to begin with, as settings "table.key=value".
std::vector<std::string> first_settings(const std::string& model);

// A job file of these settings: they stand as keys, every other key that has an effect beside them
// as a comment with its default, each with the first sentence of its help. `title`: the first line,
// without '#'. Throws InvalidInput for a setting that cannot be read.
std::string job_template(const std::vector<std::string>& settings, const std::string& title);

}  // namespace shoal
