#include <nlohmann/json.hpp>

#include "shoal/core/digest.h"
#include "shoal/core/options.h"
#include "shoal/program/program.h"

namespace shoal {
namespace {

// Feeds values one after the other; texts and lists carry their length, so that no two different
// sequences feed the same bytes.
class Feed {
 public:
  void number(std::int64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte));
    }
    if (bytes_.size() >= 1 << 16) flush();
  }
  void text(const std::string& value) {
    number(std::ssize(value));
    bytes_ += value;
  }
  template <typename List, typename One>
  void list(const List& values, const One& one) {
    number(std::ssize(values));
    for (const auto& value : values) one(value);
  }
  std::string hex() {
    flush();
    return sha_.hex();
  }

 private:
  void flush() {
    sha_.add(bytes_);
    bytes_.clear();
  }
  Sha256 sha_;
  std::string bytes_;
};

void feed_plan(Feed& feed, Plan plan) {
  const std::vector<OptionTable> tables = {describe(plan.data_parallel), describe(plan.pipeline),
                                           describe(plan.recompute), describe(plan.freeze)};
  feed.text(to_json(tables).dump());
  feed.number(plan.batch);
  feed.list(plan.mesh.axes(), [&](const auto& axis) {
    feed.text(axis.first);
    feed.number(axis.second);
  });
  feed.list(plan.layout.axes_of_dim, [&](const auto& dim) {
    feed.text(dim.first);
    feed.list(dim.second, [&](const std::string& axis) { feed.text(axis); });
  });
}

void feed_block(Feed& feed, const BlockFacts& block) {
  const auto number = [&](std::int64_t value) { feed.number(value); };
  const auto parameter = [&](const ParameterFacts& facts) {
    feed.text(facts.name);
    feed.list(facts.shape, number);
    feed.list(facts.dims, [&](const std::string& dim) { feed.text(dim); });
    feed.number(static_cast<int>(facts.type));
    feed.number(facts.trainable);
  };
  const auto activation = [&](const ActivationFacts& facts) {
    feed.text(facts.name);
    feed.list(facts.sample_shape, number);
    feed.number(static_cast<int>(facts.type));
    feed.number(facts.differentiable);
  };
  feed.text(block.name);
  feed.text(block.kind);
  feed.list(block.parameters, parameter);
  feed.list(block.buffers, parameter);
  feed.list(block.inputs, activation);
  feed.list(block.outputs, activation);
  feed.list(block.gradient_order, number);
  for (const auto* sums : {&block.forward_sums, &block.backward_sums}) {
    feed.list(*sums, [&](const BatchSumFacts& sum) {
      feed.number(sum.elements);
      feed.number(static_cast<int>(sum.type));
    });
  }
  feed.number(block.draws_random_numbers);
}

void feed_op(Feed& feed, const Op& op) {
  const auto value = [&](const Value& v) {
    feed.number(static_cast<int>(v.kind));
    feed.number(v.block);
    feed.number(v.micro_batch);
    feed.number(v.index);
  };
  const auto use = [&](const Use& u) {
    value(u.value);
    feed.number(u.version);
  };
  feed.number(static_cast<int>(op.kind));
  feed.number(op.block);
  feed.number(op.micro_batch);
  feed.number(static_cast<int>(op.mode));
  feed.number(op.peer);
  feed.number(op.group);
  feed.number(op.bytes);
  feed.number(static_cast<int>(op.type));
  feed.list(op.reads, use);
  feed.list(op.writes, use);
  feed.list(op.accumulates, use);
  feed.list(op.frees, value);
}

void feed_program(Feed& feed, const Program& program) {
  feed.number(program.rank);
  feed.number(program.stage);
  feed.number(program.micro_batches);
  feed.number(program.micro_batch_samples);
  feed.number(program.trains);
  feed.list(program.groups, [&](const GroupFacts& group) {
    feed.text(group.name);
    feed.list(group.ranks, [&](int rank) { feed.number(rank); });
  });
  feed.list(program.ops, [&](const Op& op) { feed_op(feed, op); });
}

}  // namespace

std::string Programs::digest() const {
  Feed feed;
  feed_plan(feed, plan);
  feed.list(blocks, [&](const BlockFacts& block) { feed_block(feed, block); });
  feed.list(named, [&](const auto& entry) {
    feed.text(entry.first);
    feed.list(entry.second, [&](const Program& program) { feed_program(feed, program); });
  });
  return feed.hex();
}

}  // namespace shoal
