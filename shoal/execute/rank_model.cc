#include "shoal/execute/rank_model.h"

#include <fmt/format.h>

#include <set>

#include "shoal/core/check.h"

namespace shoal {
namespace {

std::set<int> blocks_of_rank(const Programs& programs, int rank) {
  std::set<int> own;
  for (const auto& [name, by_rank] : programs.named) {
    for (const int block : by_rank.at(rank).blocks()) own.insert(block);
  }
  return own;
}

at::Tensor named(const std::vector<NamedTensor>& tensors, const std::string& name) {
  for (const auto& [tensor_name, tensor, is_buffer] : tensors) {
    if (tensor_name == name) return tensor;
  }
  broken_invariant(fmt::format("the block has no tensor '{}' that its facts name", name),
                   std::source_location::current());
}

}  // namespace

RankModel::RankModel(const Chain& chain, const Programs& programs, int rank,
                     const RankModelOptions& options)
    : options_(options) {
  for (const int index : blocks_of_rank(programs, rank)) {
    const BlockFacts& facts = programs.blocks.at(index);
    auto block = chain.build(index, options.seed, options.type);
    if (!options.device.is_cpu()) block->to(options.device.device());
    const auto tensors = named_tensors(facts.name, *block);
    for (std::size_t i = 0; i < facts.parameters.size(); ++i) {
      parameters_[{index, static_cast<int>(i)}] = named(tensors, facts.parameters[i].name);
    }
    for (std::size_t i = 0; i < facts.buffers.size(); ++i) {
      buffers_[{index, static_cast<int>(i)}] = named(tensors, facts.buffers[i].name);
    }
    blocks_[index] = std::move(block);
    names_[index] = facts.name;
  }
  if (const auto train = programs.named.find("train"); train != programs.named.end()) {
    freeze_all_but(train->second.at(rank), programs);
  }
}

void RankModel::freeze_all_but(const Program& train, const Programs& programs) {
  for (auto& [key, parameter] : parameters_) parameter.requires_grad_(false);
  for (const Op& op : train.ops) {
    if (op.kind != OpKind::update) continue;
    for (const Use& use : op.accumulates) {
      if (use.value.kind != ValueKind::parameter) continue;
      at::Tensor parameter = this->parameter(use.value);
      parameter.requires_grad_(true);
      const ParameterFacts& facts =
          programs.blocks.at(use.value.block).parameters.at(use.value.index);
      trained_.push_back({use.value, parameter, new_states(options_.optimizer, parameter),
                          options_.optimizer.decays(facts.name, parameter.dim()),
                          options_.ema_decay ? parameter.detach().clone() : at::Tensor()});
    }
  }
}

Block& RankModel::block(int index) { return *blocks_.at(index); }

at::Tensor RankModel::parameter(const Value& value) const {
  return parameters_.at({value.block, value.index});
}

at::Tensor RankModel::buffer(const Value& value) const {
  return buffers_.at({value.block, value.index});
}

std::vector<at::Tensor> RankModel::buffers() const {
  std::vector<at::Tensor> all;
  for (const auto& [key, tensor] : buffers_) all.push_back(tensor);
  return all;
}

void RankModel::swap_averages() {
  check(options_.ema_decay.has_value(), "there are averages to swap");
  for (Trained& trained : trained_) {
    at::Tensor weights = trained.parameter.variable_data();
    trained.parameter.set_data(trained.average);
    trained.average = std::move(weights);
  }
}

std::vector<HeldTensor> RankModel::held() const {
  std::map<const void*, const Trained*> states_of;
  for (const Trained& trained : trained_)
    states_of[trained.parameter.unsafeGetTensorImpl()] = &trained;
  const auto states = state_names(options_.optimizer);
  std::vector<HeldTensor> all;
  for (const auto& [index, block] : blocks_) {
    for (const auto& [name, tensor, is_buffer] : named_tensors(names_.at(index), *block)) {
      all.push_back({name, is_buffer ? "buffer" : "parameter", tensor, index});
      const auto trained = states_of.find(tensor.unsafeGetTensorImpl());
      if (trained == states_of.end()) continue;
      for (std::size_t i = 0; i < states.size(); ++i) {
        all.push_back({name + "#" + states[i], "optimizer", trained->second->states[i], index});
      }
      if (options_.ema_decay) {
        all.push_back({name + "#average", "average", trained->second->average, index});
      }
    }
  }
  return all;
}

}  // namespace shoal
