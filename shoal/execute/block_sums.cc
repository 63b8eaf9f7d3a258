#include "shoal/execute/block_sums.h"

#include <fmt/format.h>

#include "shoal/core/check.h"
#include "shoal/core/error.h"
#include "shoal/tensor/element_types.h"

namespace shoal {

void BlockSums::start(const std::string& name, const std::vector<BatchSumFacts>& recorded,
                      Group& group) {
  name_ = &name;
  recorded_ = &recorded;
  group_ = &group;
  made_ = 0;
}

void BlockSums::finish() {
  if (made_ == recorded_->size()) return;
  throw InvalidInput(fmt::format(
      "block {} made {} sums over the batch, and {} when it was recorded: make as many in every "
      "run, whatever the samples",
      *name_, made_, recorded_->size()));
}

void BlockSums::sum(at::Tensor& values) {
  check(recorded_ != nullptr, "a block sums while its operation runs");
  const BatchSumFacts now{.elements = values.numel(), .type = element_type(values.scalar_type())};
  if (made_ >= recorded_->size() || (*recorded_)[made_] != now) {
    throw InvalidInput(fmt::format(
        "block {}: its sum {} over the batch has {} elements of {}, and {} when it was recorded: "
        "make the same sums in every run, whatever the samples",
        *name_, made_ + 1, now.elements, name_of(now.type),
        made_ < recorded_->size() ? fmt::format("{} of {}", (*recorded_)[made_].elements,
                                                name_of((*recorded_)[made_].type))
                                  : "was not made"));
  }
  ++made_;
  HostMemory memory({values}, device_, HostMemory::Use::both);
  group_->all_reduce(memory.buffers(), ReduceOp::sum, deadline_());
  memory.write_back();
}

}  // namespace shoal
