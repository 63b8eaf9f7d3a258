// Small questions that all ranks of a group answer together. Each is a collective: all members call
// it, and it blocks and throws as Group's own calls do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shoal/comm/group.h"

namespace shoal {

// The lowest rank whose digest is not rank 0's; nothing when all are equal. The same on every rank.
std::optional<int> rank_that_differs(Group& group, std::uint64_t digest, Deadline deadline);

// Rank 0's text, on every rank. What the others give is left unread.
std::string text_of_rank_0(Group& group, const std::string& text, Deadline deadline);

}  // namespace shoal
