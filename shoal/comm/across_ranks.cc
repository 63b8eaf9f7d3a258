#include "shoal/comm/across_ranks.h"

#include <span>
#include <vector>

namespace shoal {

std::optional<int> rank_that_differs(Group& group, std::uint64_t digest, Deadline deadline) {
  const auto own = static_cast<std::int64_t>(digest);
  std::vector<std::int64_t> of_all(static_cast<std::size_t>(group.size()));
  group.all_gather(buffer(std::span<const std::int64_t>(&own, 1)), buffer(std::span(of_all)),
                   deadline);
  for (int rank = 1; rank < group.size(); ++rank) {
    if (of_all[static_cast<std::size_t>(rank)] != of_all[0]) return rank;
  }
  return std::nullopt;
}

std::string text_of_rank_0(Group& group, const std::string& text, Deadline deadline) {
  auto size = static_cast<std::int64_t>(text.size());
  group.broadcast(buffer(std::span(&size, 1)), 0, deadline);
  std::vector<std::uint8_t> bytes(text.begin(), text.end());
  bytes.resize(static_cast<std::size_t>(size));
  group.broadcast(buffer(std::span(bytes)), 0, deadline);
  return {bytes.begin(), bytes.end()};
}

}  // namespace shoal
