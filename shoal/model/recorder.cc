#include "shoal/model/recorder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "shoal/core/error.h"
#include "shoal/core/first_line.h"
#include "shoal/model/block_run.h"
#include "shoal/tensor/element_types.h"
#include "shoal/tensor/torch_errors.h"

namespace shoal {
namespace {

// A line through what was found at two numbers of samples, lifted where it would go below zero.
LinearFact line(std::int64_t few, double at_few, std::int64_t many, double at_many) {
  const double slope = (at_many - at_few) / static_cast<double>(many - few);
  const double fixed = at_few - slope * static_cast<double>(few);
  if (slope < 0) return {.fixed = std::max(at_few, at_many), .per_sample = 0};
  if (fixed < 0) {
    return {.fixed = 0,
            .per_sample =
                std::max(at_few / static_cast<double>(few), at_many / static_cast<double>(many))};
  }
  return {.fixed = fixed, .per_sample = slope};
}

std::string text_of(const std::vector<ActivationFacts>& inputs) {
  std::vector<std::string> shapes;
  for (const ActivationFacts& input : inputs) {
    std::string shape = "[n";
    for (const std::int64_t size : input.sample_shape) shape += fmt::format(", {}", size);
    shapes.push_back(shape + "]");
  }
  return fmt::format("{}", fmt::join(shapes, ", "));
}

// Equal keys, equal records.
std::string record_key(const BlockFactory& factory, const std::vector<ActivationFacts>& inputs) {
  std::string key = factory.kind;
  for (const ActivationFacts& input : inputs) {
    key += fmt::format("|{} [{}] {} {}", input.name, fmt::join(input.sample_shape, ","),
                       name_of(input.type), input.differentiable);
  }
  return key;
}

ParameterFacts facts_of(const NamedTensor& item, const Block& block,
                        const std::string& block_name) {
  return {.name = item.name,
          .shape = item.tensor.sizes().vec(),
          .dims = block.dims_of(item.name.substr(block_name.size() + 1)),
          .type = element_type(item.tensor.scalar_type()),
          .trainable = !item.is_buffer && item.tensor.requires_grad()};
}

void measure_costs(BlockRun& run, const RecordOptions& options, BlockFacts& facts) {
  const std::int64_t many = std::max<std::int64_t>(4, options.cost_samples);
  const std::int64_t few = std::max<std::int64_t>(2, many / 4);
  const RunSeconds at_few = run.time(few);
  const RunSeconds at_many = run.time(many);
  facts.forward.core = line(few, at_few.forward, many, at_many.forward);
  facts.backward.core = line(few, at_few.backward, many, at_many.backward);
}

BlockFacts record_block(const Chain& chain, int index, const std::vector<ActivationFacts>& inputs,
                        const RecordOptions& options) {
  const BlockFactory& factory = chain.blocks()[static_cast<std::size_t>(index)];
  const auto block = chain.build(index, /*seed=*/0, options.type);
  const GeneratorScope generator;
  BlockRun run(block, factory.name, inputs, options.autocast);
  const RunBytes two = run.run(2);
  const std::vector<int> order = run.gradient_order();
  const auto forward_sums = run.forward_sums(), backward_sums = run.backward_sums();
  const RunBytes three = run.run(3);

  BlockFacts facts;
  facts.name = factory.name;
  facts.kind = factory.kind;
  facts.inputs = inputs;
  facts.outputs = run.outputs();
  for (const NamedTensor& item : run.tensors()) {
    (item.is_buffer ? facts.buffers : facts.parameters)
        .push_back(facts_of(item, *block, factory.name));
  }
  if (run.forward_sums() != forward_sums || run.backward_sums() != backward_sums) {
    throw InvalidInput("what it sums over the batch depends on the number of its samples");
  }
  facts.forward_sums = forward_sums;
  facts.backward_sums = backward_sums;
  facts.gradient_order = order;
  facts.saved_bytes = line(2, two.saved, 3, three.saved);
  facts.workspace_bytes = line(2, two.workspace, 3, three.workspace);
  facts.forward.wait.fixed = block->waits().forward;
  facts.backward.wait.fixed = block->waits().backward;
  facts.draws_random_numbers = block->draws_random_numbers() || generator.has_moved();
  if (options.measure_costs) measure_costs(run, options, facts);
  return facts;
}

// The record of another block of the same kind, under this block's name.
BlockFacts renamed(BlockFacts facts, const std::string& name) {
  for (auto* tensors : {&facts.parameters, &facts.buffers}) {
    for (ParameterFacts& tensor : *tensors) {
      tensor.name = name + tensor.name.substr(facts.name.size());
    }
  }
  facts.name = name;
  return facts;
}

[[noreturn]] void refuse(const BlockFactory& factory, const std::vector<ActivationFacts>& inputs,
                         const std::string& reason) {
  throw InvalidInput(fmt::format("block {} cannot take {}: {}", factory.name, text_of(inputs),
                                 first_line(reason)));
}

}  // namespace

std::vector<BlockFacts> record_facts(const Chain& chain, const std::vector<ActivationFacts>& input,
                                     const RecordOptions& options) {
  std::map<std::string, BlockFacts> records;
  std::vector<BlockFacts> all;
  std::vector<ActivationFacts> inputs = input;
  for (ActivationFacts& facts : inputs) {
    facts.differentiable = false;  // nothing asks for the gradient of the data
    if (at::isFloatingType(scalar_type(facts.type))) facts.type = element_type(options.type);
  }
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const BlockFactory& factory = chain.blocks()[i];
    const std::string key = record_key(factory, inputs);
    auto record = records.find(key);
    if (record == records.end()) {
      try {
        record =
            records.emplace(key, record_block(chain, static_cast<int>(i), inputs, options)).first;
      } catch (const InvalidInput& error) {
        refuse(factory, inputs, error.what());
      } catch (const c10::Error& error) {
        if (is_out_of_memory(error)) throw out_of_memory(error, "block " + factory.name);
        refuse(factory, inputs, error.what_without_backtrace());
      }
    }
    all.push_back(renamed(record->second, factory.name));
    inputs = all.back().outputs;
  }
  return all;
}

}  // namespace shoal
