// A file of its own, compiled anew with every commit: nothing else is.
#include "shoal/cli/build_commit.h"

#include <shoal_commit.h>

namespace shoal {

std::string build_commit() {
  const std::string commit = SHOAL_COMMIT;
  if (commit.empty()) return "unknown: not built in a git checkout";
  return commit + (SHOAL_MODIFIED ? ", and changes" : "");
}

}  // namespace shoal
