#include "shoal/comm/forming.h"
#include "shoal/core/error.h"

namespace shoal {

std::unique_ptr<FormsGroup> forms_tcp_group(const Forming& forming) {
  throw InvalidInput("group " + forming.name + " would need engine tcp, which this build lacks");
}

}  // namespace shoal
