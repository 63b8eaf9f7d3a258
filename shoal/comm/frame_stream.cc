#include "shoal/comm/frame_stream.h"

#include <limits>

namespace shoal {

std::size_t Tearing::limit() {
  if (state_ == 0) return std::numeric_limits<std::size_t>::max();
  state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
  const std::uint64_t random = state_ >> 33;
  if (random % 4 == 0) return 0;
  return random % 3 == 0 ? 1 + (random >> 8) % 50 : 1 + (random >> 8) % 20000;
}

}  // namespace shoal
