#include "shoal/comm/reduce_order.h"

#include <array>
#include <span>
#include <vector>

#include "shoal/comm/reduce_kernels.h"
#include "shoal/core/partition.h"

namespace shoal {
namespace {

// Groups on one host are small; only larger ones pay for an allocation.
constexpr int kFewRanks = 16;

}  // namespace

void reduce_whole(const Call& call, int rank, int size, std::byte* out,
                  const std::function<const std::byte*(int)>& source) {
  const Reduction reduce = reduction_of(call.type, call.op);
  const std::size_t element = size_of(call.type);
  const auto elements = static_cast<std::int64_t>(call.elements);
  std::array<const std::byte*, kFewRanks> few;
  std::vector<const std::byte*> many;
  if (size > kFewRanks) many.resize(static_cast<std::size_t>(size));
  const std::span<const std::byte*> sources =
      size > kFewRanks ? std::span(many) : std::span(few).first(static_cast<std::size_t>(size));
  const Range slice = call.operation == Operation::reduce_scatter ? part_of(elements, size, rank)
                                                                  : Range{0, elements};
  if (slice.empty()) return;
  for (int i = 0; i < size; ++i) {
    sources[i] = source(i) + static_cast<std::size_t>(slice.begin) * element;
  }
  reduce(sources, {&out, 1}, static_cast<std::size_t>(slice.size()));
}

}  // namespace shoal
