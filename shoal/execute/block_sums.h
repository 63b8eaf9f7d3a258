// The sums that a block makes over its batch while it runs, over a real group.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "shoal/comm/group.h"
#include "shoal/core/deadline.h"
#include "shoal/model/batch_sums.h"
#include "shoal/program/facts.h"
#include "shoal/tensor/compute_device.h"

namespace shoal {

// One per program; the compute thread uses it. Holds every call to what was recorded of the block:
// ranks whose calls differ would wait for each other.
class BlockSums final : public BatchSums {
 public:
  BlockSums(std::function<Deadline()> deadline, const ComputeDevice& device)
      : deadline_(std::move(deadline)), device_(device) {}

  // The calls from here to finish() are those of one operation of the block `name`. Borrows all.
  void start(const std::string& name, const std::vector<BatchSumFacts>& recorded, Group& group);
  void finish();  // InvalidInput when the block has made fewer than were recorded
  void sum(at::Tensor& values) override;

 private:
  std::function<Deadline()> deadline_;
  ComputeDevice device_;
  const std::string* name_ = nullptr;
  const std::vector<BatchSumFacts>* recorded_ = nullptr;
  Group* group_ = nullptr;
  std::size_t made_ = 0;
};

}  // namespace shoal
