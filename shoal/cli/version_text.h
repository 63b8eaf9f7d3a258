// What `shoal --version` prints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace shoal {

// Lines: version, commit, LibTorch, compiler, instruction sets, engines. The first word of each but
// the first line says what it is.
std::string version_text();

// Of the extensions that matter to tensors, those that the processor has, in the order of their
// age. `cpuinfo`: /proc/cpuinfo; empty when it cannot be read.
std::vector<std::string> instruction_sets(const std::filesystem::path& cpuinfo);

// MPIs whose module is beside this program: what engine mpi can speak to.
std::vector<std::string> mpis_built_in();

}  // namespace shoal
