// One function per launcher: what its variables say. Used by place_from_environment only.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>

#include "shoal/launch/environment.h"

namespace shoal {

// Variables with their faults: a missing or malformed one throws InvalidInput naming it.
class Variables {
 public:
  explicit Variables(const EnvironmentLookup& lookup) : lookup_(lookup) {}
  std::optional<std::string> text(const std::string& name) const { return lookup_(name); }
  std::optional<int> number(const std::string& name) const;
  // `source` says who should have set it.
  std::string needed_text(const std::string& name, const std::string& source) const;
  int needed_number(const std::string& name, const std::string& source) const;
  bool any_of(std::initializer_list<const char*> names) const;
  const EnvironmentLookup& lookup() const { return lookup_; }

 private:
  const EnvironmentLookup& lookup_;
};

// Nothing when the launcher's variables are not there.
std::optional<WorkerPlace> place_of_shoal(const Variables& variables);
std::optional<WorkerPlace> place_of_torchrun(const Variables& variables);
std::optional<WorkerPlace> place_of_open_mpi(const Variables& variables);
std::optional<WorkerPlace> place_of_hydra(const Variables& variables);
std::optional<WorkerPlace> place_of_srun(const Variables& variables);

}  // namespace shoal
