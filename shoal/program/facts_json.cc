// Facts as a file (`--facts FILE`): every field stands there, so a file is complete or refused.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "shoal/core/error.h"
#include "shoal/program/facts.h"
#include "shoal/program/json_fields.h"

namespace shoal {
namespace {

using Ordered = nlohmann::ordered_json;
using nlohmann::json;

constexpr std::string_view kFormat = "shoal facts 2";
constexpr std::int64_t kMostElements = std::int64_t{1} << 53;  // of one tensor

Ordered written(const LinearFact& fact) {
  return {{"fixed", fact.fixed}, {"per_sample", fact.per_sample}};
}

Ordered written(const WorkFacts& work) {
  return {{"core", written(work.core)}, {"wait", written(work.wait)}};
}

Ordered written(const ParameterFacts& parameter) {
  return {{"name", parameter.name},
          {"shape", parameter.shape},
          {"dims", parameter.dims},
          {"type", name_of(parameter.type)},
          {"trainable", parameter.trainable}};
}

Ordered written(const ActivationFacts& activation) {
  return {{"name", activation.name},
          {"sample_shape", activation.sample_shape},
          {"type", name_of(activation.type)},
          {"differentiable", activation.differentiable}};
}

Ordered written(const BatchSumFacts& sum) {
  return {{"elements", sum.elements}, {"type", name_of(sum.type)}};
}

Ordered written(const BlockFacts& block);

template <typename Fact>
Ordered written(const std::vector<Fact>& facts) {
  auto list = Ordered::array();
  for (const Fact& fact : facts) list.push_back(written(fact));
  return list;
}

Ordered written(const BlockFacts& block) {
  return {{"name", block.name},
          {"kind", block.kind},
          {"parameters", written(block.parameters)},
          {"buffers", written(block.buffers)},
          {"inputs", written(block.inputs)},
          {"outputs", written(block.outputs)},
          {"saved_bytes", written(block.saved_bytes)},
          {"workspace_bytes", written(block.workspace_bytes)},
          {"gradient_order", block.gradient_order},
          {"forward", written(block.forward)},
          {"backward", written(block.backward)},
          {"forward_sums", written(block.forward_sums)},
          {"backward_sums", written(block.backward_sums)},
          {"draws_random_numbers", block.draws_random_numbers}};
}

Ordered all_of(const std::vector<BlockFacts>& blocks) {
  return {{"format", kFormat}, {"blocks", written(blocks)}};
}

// Sizes multiply later on: what would overflow then is refused here.
std::vector<std::int64_t> read_shape(JsonFields& fields, const std::string& name) {
  auto shape = fields.integers(name);
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (size > 0 && elements > kMostElements / size) {
      fields.refuse(name, "a tensor of more than 2^53 elements cannot be");
    }
    elements *= size;
  }
  return shape;
}

LinearFact read_linear(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  const LinearFact fact{.fixed = fields.number("fixed"), .per_sample = fields.number("per_sample")};
  fields.finish();
  return fact;
}

WorkFacts read_work(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  const WorkFacts work{.core = read_linear(fields.object("core"), where + ", core"),
                       .wait = read_linear(fields.object("wait"), where + ", wait")};
  fields.finish();
  return work;
}

ParameterFacts read_parameter(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  ParameterFacts parameter{.name = fields.text("name"),
                           .shape = read_shape(fields, "shape"),
                           .dims = fields.texts("dims"),
                           .type = fields.element_type("type"),
                           .trainable = fields.boolean("trainable")};
  fields.finish();
  if (parameter.dims.size() != parameter.shape.size()) {
    fields.refuse("dims", fmt::format("give {} names, one a dimension of 'shape' (\"\" for none)",
                                      parameter.shape.size()));
  }
  return parameter;
}

ActivationFacts read_activation(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  ActivationFacts activation{.name = fields.text("name"),
                             .sample_shape = read_shape(fields, "sample_shape"),
                             .type = fields.element_type("type"),
                             .differentiable = fields.boolean("differentiable")};
  fields.finish();
  return activation;
}

BatchSumFacts read_sum(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  BatchSumFacts sum{.elements = fields.integer("elements", 1), .type = fields.element_type("type")};
  if (sum.elements > kMostElements) {
    fields.refuse("elements", "a tensor of more than 2^53 elements cannot be");
  }
  fields.finish();
  return sum;
}

template <typename Read>
auto read_list(JsonFields& fields, const std::string& name, Read read) {
  std::vector<decltype(read(json(), std::string()))> all;
  for (const json& item : fields.list(name)) {
    all.push_back(read(item, fmt::format("{}, {}[{}]", fields.where(), name, all.size())));
  }
  return all;
}

std::vector<int> read_gradient_order(JsonFields& fields, std::size_t parameters) {
  std::vector<int> order;
  for (const std::int64_t index : fields.integers("gradient_order")) {
    if (index >= static_cast<std::int64_t>(parameters)) {
      fields.refuse("gradient_order", fmt::format("the block has {} parameters", parameters));
    }
    order.push_back(static_cast<int>(index));
  }
  return order;
}

BlockFacts read_block(const json& value, const std::string& where) {
  JsonFields fields(value, where);
  const auto linear = [&](const std::string& name) {
    return read_linear(fields.object(name), fmt::format("{}, {}", where, name));
  };
  const auto work = [&](const std::string& name) {
    return read_work(fields.object(name), fmt::format("{}, {}", where, name));
  };
  BlockFacts block;
  block.name = fields.text("name");
  block.kind = fields.text("kind");
  block.parameters = read_list(fields, "parameters", read_parameter);
  block.buffers = read_list(fields, "buffers", read_parameter);
  block.inputs = read_list(fields, "inputs", read_activation);
  block.outputs = read_list(fields, "outputs", read_activation);
  block.saved_bytes = linear("saved_bytes");
  block.workspace_bytes = linear("workspace_bytes");
  block.gradient_order = read_gradient_order(fields, block.parameters.size());
  block.forward = work("forward");
  block.backward = work("backward");
  block.forward_sums = read_list(fields, "forward_sums", read_sum);
  block.backward_sums = read_list(fields, "backward_sums", read_sum);
  block.draws_random_numbers = fields.boolean("draws_random_numbers");
  fields.finish();
  return block;
}

}  // namespace

nlohmann::json facts_to_json(const std::vector<BlockFacts>& blocks) { return all_of(blocks); }

std::string facts_text(const std::vector<BlockFacts>& blocks) { return readable(all_of(blocks)); }

std::vector<BlockFacts> facts_from_json(const nlohmann::json& json, const std::string& source) {
  JsonFields fields(json, source);
  fields.expect_text("format", kFormat);
  std::vector<BlockFacts> blocks;
  for (const auto& block : fields.list("blocks")) {
    blocks.push_back(read_block(block, fmt::format("{}, block {}", source, blocks.size())));
  }
  fields.finish();
  return blocks;
}

}  // namespace shoal
