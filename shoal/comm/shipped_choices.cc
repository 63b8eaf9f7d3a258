// What `shoal comm tune` measured on 2026-11-29, on a virtual machine of two cores, over the
// loopback: see bench/results. Where the measurement was close, what sends fewer bytes between
// hosts stands. From 32 ranks on the number of messages decides: one to every rank takes longer
// than four steps.
#include "shoal/comm/choices.h"

namespace shoal {
namespace {

constexpr std::string_view kShipped = R"(
choices = [
  { engine = "tcp", operation = "all_reduce", ranks = 2, from_bytes = 0, algorithm = "two_shot" },
  { engine = "tcp", operation = "all_reduce", ranks = 4, from_bytes = 0, algorithm = "two_shot" },
  { engine = "tcp", operation = "all_reduce", ranks = 4, from_bytes = 8192, algorithm = "recursive_doubling" },
  { engine = "tcp", operation = "all_reduce", ranks = 4, from_bytes = 32768, algorithm = "rabenseifner" },
  { engine = "tcp", operation = "all_reduce", ranks = 8, from_bytes = 0, algorithm = "two_shot" },
  { engine = "tcp", operation = "all_reduce", ranks = 8, from_bytes = 8192, algorithm = "double_tree" },
  { engine = "tcp", operation = "all_reduce", ranks = 8, from_bytes = 524288, algorithm = "rabenseifner" },
  { engine = "hierarchical", operation = "all_reduce", ranks = 2, from_bytes = 0, algorithm = "two_shot" },
  { engine = "hierarchical", operation = "all_reduce", ranks = 2, from_bytes = 8192, algorithm = "hierarchical" },
  { engine = "hierarchical", operation = "all_reduce", ranks = 32, from_bytes = 0, algorithm = "hierarchical" },
  { engine = "hierarchical", operation = "broadcast", ranks = 2, from_bytes = 0, algorithm = "two_shot" },
  { engine = "hierarchical", operation = "broadcast", ranks = 2, from_bytes = 131072, algorithm = "hierarchical" },
  { engine = "hierarchical", operation = "broadcast", ranks = 32, from_bytes = 0, algorithm = "hierarchical" },
  { engine = "hierarchical", operation = "reduce_scatter", ranks = 2, from_bytes = 0, algorithm = "two_shot" },
  { engine = "hierarchical", operation = "reduce_scatter", ranks = 2, from_bytes = 32768, algorithm = "hierarchical" },
  { engine = "hierarchical", operation = "reduce_scatter", ranks = 8, from_bytes = 0, algorithm = "hierarchical" },
]
)";

}  // namespace

const ChoiceTable& ChoiceTable::shipped() {
  static const ChoiceTable table = choices_from(kShipped, "the table of choices in shoal");
  return table;
}

}  // namespace shoal
