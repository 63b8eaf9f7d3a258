#include "shoal/execute/op_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <numeric>

#include "shoal/core/error.h"
#include "shoal/optim/moving_average.h"
#include "shoal/tensor/autocast.h"
#include "shoal/tensor/element_types.h"
#include "shoal/tensor/torch_errors.h"

namespace shoal {
namespace {

bool writes_saved(const Op& op) {
  return std::any_of(op.writes.begin(), op.writes.end(),
                     [](const Use& use) { return use.value.kind == ValueKind::saved; });
}

// Leaves of a new graph, so that a block's backward ends at its input.
Activations leaves_of(const Activations& input, bool wants_gradient) {
  Activations leaves;
  for (const auto& [name, tensor] : input.all()) {
    at::Tensor leaf = tensor.detach();
    if (wants_gradient && leaf.is_floating_point()) leaf.requires_grad_(true);
    leaves.add(name, std::move(leaf));
  }
  return leaves;
}

Activations detached(const Activations& outputs) {
  Activations plain;
  for (const auto& [name, tensor] : outputs.all()) plain.add(name, tensor.detach());
  return plain;
}

// Whether element i of one lies where element i of the other does.
bool lie_alike(const at::Tensor& a, const at::Tensor& b) {
  for (std::int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  }
  return true;
}

// A dense tensor's elements in the order of its memory, which is the same on all ranks.
at::Tensor in_memory_order(const at::Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  std::vector<std::int64_t> dims(static_cast<std::size_t>(tensor.dim()));
  std::iota(dims.begin(), dims.end(), 0);
  std::stable_sort(dims.begin(), dims.end(), [&](std::int64_t a, std::int64_t b) {
    return tensor.stride(a) > tensor.stride(b);
  });
  return tensor.permute(dims);
}

StepBatch moved(StepBatch batch, const ComputeDevice& device) {
  if (device.is_cpu()) return batch;
  for (at::Tensor* tensor :
       {&batch.inputs, &batch.targets, &batch.mixed.classes, &batch.mixed.shares}) {
    *tensor = device.move(*tensor);
  }
  return batch;
}

class InputIsNotWritten {
 public:
  InputIsNotWritten(const Activations& input, const std::string& block)
      : input_(input), block_(block) {
    for (const auto& [name, tensor] : input_.all()) versions_.push_back(tensor._version());
  }
  void check_now() const {
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      if (input_.all()[i].second._version() == versions_[i]) continue;
      throw InvalidInput(
          fmt::format("block {} writes its input '{}' in place: let it work on a copy", block_,
                      input_.all()[i].first));
    }
  }

 private:
  const Activations& input_;
  const std::string& block_;
  std::vector<std::int64_t> versions_;
};

}  // namespace

OpRunner::OpRunner(Parts parts)
    : parts_(std::move(parts)),
      device_(parts_.model.options().device),
      values_(parts_.program),
      sums_([this] { return collective_deadline(); }, device_) {
  for (const Op& op : parts_.program.ops) {
    for (const Use& use : op.writes) written_.insert(use.value);
    if (op.kind != OpKind::all_reduce) continue;
    for (const Use& use : op.accumulates) reduced_over_[use.value] = op.group;
  }
  shared_gradients_ = shared_gradients();
}

// Of the first group that shares memory: a rank's gradients are summed by one. Tensors are known by
// their size alone, so a few others of a gradient's size lie there too.
std::shared_ptr<SharedTensors> OpRunner::shared_gradients() const {
  if (!device_.is_cpu()) return nullptr;
  Group* group = nullptr;
  std::set<std::size_t> sizes;
  for (const auto& [gradient, index] : reduced_over_) {
    if (gradient.kind != ValueKind::gradient) continue;
    Group& sums = parts_.group(index);
    if (group == nullptr && sums.size() > 1 && sums.shares_memory()) group = &sums;
    if (group == &sums) sizes.insert(parts_.model.parameter(gradient).nbytes());
  }
  if (group == nullptr) return nullptr;
  return std::make_shared<SharedTensors>(
      [group](std::size_t bytes) { return group->allocate(bytes); },
      [sizes](std::size_t bytes) { return sizes.contains(bytes); });
}

void OpRunner::begin(const RunInput& input) {
  input_ = &input;
  first_not_finite = static_cast<int>(parts_.programs.blocks.size()) + 1;
}

void OpRunner::end() {
  values_.clear();
  for (auto& trained : parts_.model.trained()) trained.parameter.mutable_grad().reset();
  input_ = nullptr;
}

Deadline OpRunner::collective_deadline() const {
  return Deadline::after_seconds(parts_.comm.collective_seconds);
}

void OpRunner::run(const Op& op) {
  switch (op.kind) {
    case OpKind::load:
      load();
      break;
    case OpKind::forward:
      forward(op);
      break;
    case OpKind::loss:
      loss(op);
      break;
    case OpKind::backward:
      backward(op);
      break;
    case OpKind::send:
      send(op);
      break;
    case OpKind::receive:
      receive(op);
      break;
    case OpKind::all_reduce:
      all_reduce(op);
      break;
    case OpKind::agree:
      agree(op);
      break;
    case OpKind::update:
      update(op);
      break;
  }
  for (const Value& value : op.frees) values_.free(value);
}

void OpRunner::load() {
  cut_into_micro_batches(moved(input_->batches(collective_deadline()), device_), values_);
  if (looks_for_not_finite) {
    for (int i = 0; i < values_.micro_batches(); ++i) look_at(values_.micro_batch(i).inputs, -1);
  }
}

const Activations& OpRunner::input_of(int block, int micro_batch) {
  if (block == 0) return values_.micro_batch(micro_batch).inputs;
  return values_.activation({ValueKind::activation, block - 1, micro_batch});
}

at::Tensor OpRunner::empty(const std::vector<std::int64_t>& shape, ElementType type) const {
  return at::empty(shape, at::TensorOptions(scalar_type(type)).device(device_.device()));
}

Activations OpRunner::empty_outputs(int block) const {
  Activations outputs;
  for (const ActivationFacts& fact : parts_.programs.blocks.at(block).outputs) {
    std::vector<std::int64_t> shape{0};
    shape.insert(shape.end(), fact.sample_shape.begin(), fact.sample_shape.end());
    outputs.add(fact.name, empty(shape, fact.type));
  }
  return outputs;
}

void OpRunner::look_at(const Activations& activations, int block) {
  for (const auto& [name, tensor] : activations.all()) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      first_not_finite = std::min(first_not_finite, block);
    }
  }
}

BatchSums* OpRunner::start_sums(const Op& op) {
  if (!meets_others(op)) return nullptr;
  const BlockFacts& block = parts_.programs.blocks.at(static_cast<std::size_t>(op.block));
  const bool forward = op.kind == OpKind::forward;
  sums_.start(block.name, forward ? block.forward_sums : block.backward_sums,
              parts_.group(op.group));
  return &sums_;
}

void OpRunner::finish_sums(const Op& op) {
  if (meets_others(op)) sums_.finish();
}

void OpRunner::forward(const Op& op) {
  const MicroBatch& micro_batch = values_.micro_batch(op.micro_batch);
  const Value output{ValueKind::activation, op.block, op.micro_batch};
  // Kernels differ on empty input, programs do not; but other ranks wait for this one's sums.
  if (micro_batch.samples() == 0 && !meets_others(op)) {
    values_.activation(output) = empty_outputs(op.block);
    return;
  }
  const bool keeps_graph = writes_saved(op);
  const Value input_gradient{ValueKind::activation_gradient, op.block - 1, op.micro_batch};
  Activations leaves = leaves_of(input_of(op.block, op.micro_batch),
                                 keeps_graph && written_.contains(input_gradient));
  const at::AutoGradMode graph(keeps_graph);
  const Autocast autocast(parts_.autocast, device_.device().type());
  // Looking again must not touch running statistics a second time.
  const Context context{.mode = looks_for_not_finite ? ForwardMode::recompute : op.mode,
                        .seed = parts_.model.options().seed,
                        .step = input_->step,
                        .micro_batch = op.micro_batch,
                        .sample_ids = &micro_batch.sample_ids,
                        .batch_sums = start_sums(op)};
  Activations outputs = forward_of(op.block, leaves, context);
  finish_sums(op);
  if (looks_for_not_finite) look_at(outputs, op.block);
  values_.activation(output) = detached(outputs);
  if (keeps_graph) {
    values_.saved({ValueKind::saved, op.block, op.micro_batch}) = {std::move(leaves),
                                                                   std::move(outputs)};
  }
}

Activations OpRunner::forward_of(int block, const Activations& input, const Context& context) {
  const std::string& name = parts_.programs.blocks[static_cast<std::size_t>(block)].name;
  const InputIsNotWritten guard(input, name);
  try {
    Activations outputs = parts_.model.block(block).forward(input, context);
    guard.check_now();
    return outputs;
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw out_of_memory(error, "block " + name);
    // LibTorch itself refuses to write an input that a gradient flows through.
    throw InvalidInput(fmt::format("block {} fails in step {} on {} samples: {}", name,
                                   context.step, context.sample_ids->size(),
                                   error.what_without_backtrace()));
  }
}

void OpRunner::loss(const Op& op) {
  const MicroBatch& micro_batch = values_.micro_batch(op.micro_batch);
  const int last = static_cast<int>(parts_.programs.blocks.size()) - 1;
  const Value output{ValueKind::activation, last, op.micro_batch};
  const Value gradient{ValueKind::activation_gradient, last, op.micro_batch};
  const bool trains = written_.contains(gradient);
  if (micro_batch.samples() == 0) {
    if (trains) values_.activation(gradient) = empty_outputs(last);
    return;
  }
  const at::AutoGradMode graph(trains);
  const Activations leaves = leaves_of(values_.activation(output), trains);
  const LossSums sums = loss_sums(parts_.chain.loss(), leaves.only(), micro_batch.targets,
                                  /*count_correct=*/true, parts_.loss, micro_batch.mixed);
  values_.loss_sum += sums.loss.item<double>();
  values_.weight += sums.weight;
  values_.correct += static_cast<double>(sums.correct);
  values_.samples += static_cast<double>(micro_batch.samples());
  if (input_->outputs) input_->outputs(leaves.only().detach().cpu(), micro_batch.targets.cpu());
  if (!trains) return;
  // Scaled in float32, before it becomes a gradient of the output's type.
  (input_->loss_scale == 1 ? sums.loss : sums.loss * input_->loss_scale).backward();
  values_.activation(gradient) = Activations(leaves.only().grad());
}

void OpRunner::backward(const Op& op) {
  const Value input_gradient{ValueKind::activation_gradient, op.block - 1, op.micro_batch};
  const bool flows_on = written_.contains(input_gradient);
  if (values_.micro_batch(op.micro_batch).samples() == 0 && !meets_others(op)) {
    if (flows_on) values_.activation(input_gradient) = empty_outputs(op.block - 1);
    return;
  }
  Saved& saved = values_.saved({ValueKind::saved, op.block, op.micro_batch});
  const Activations& gradients =
      values_.activation({ValueKind::activation_gradient, op.block, op.micro_batch});
  std::vector<at::Tensor> outputs, output_gradients;
  std::size_t next = 0;
  for (const auto& [name, output] : saved.outputs.all()) {
    if (!output.is_floating_point()) continue;
    const at::Tensor& gradient = gradients.all().at(next++).second;
    if (!output.requires_grad()) continue;
    outputs.push_back(output);
    output_gradients.push_back(gradient);
  }
  {
    // Autograd keeps as .grad what a block's backward has made, without a copy.
    const SharedTensorsScope shared(shared_gradients_);
    start_sums(op);
    torch::autograd::backward(outputs, output_gradients);
    finish_sums(op);
  }
  if (!flows_on) return;
  Activations flowing;
  for (const auto& [name, leaf] : saved.inputs.all()) {
    if (!leaf.is_floating_point()) continue;
    flowing.add(name, leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
  }
  values_.activation(input_gradient) = std::move(flowing);
}

void OpRunner::send(const Op& op) {
  for (const auto& [name, tensor] : values_.activation(op.reads.at(0).value).all()) {
    const HostMemory memory({tensor.contiguous()}, device_, HostMemory::Use::give);
    parts_.point_to_point->send(memory.buffers()[0], op.peer, collective_deadline());
  }
}

void OpRunner::receive(const Op& op) {
  const Value& value = op.writes.at(0).value;
  const std::int64_t samples = values_.micro_batch(value.micro_batch).samples();
  Activations received;
  for (const ActivationFacts& fact : parts_.programs.blocks.at(value.block).outputs) {
    if (value.kind == ValueKind::activation_gradient && !fact.differentiable) continue;
    std::vector<std::int64_t> shape{samples};
    shape.insert(shape.end(), fact.sample_shape.begin(), fact.sample_shape.end());
    const at::Tensor tensor = empty(shape, fact.type);
    HostMemory memory({tensor}, device_, HostMemory::Use::take);
    parts_.point_to_point->receive(memory.buffers()[0], op.peer, collective_deadline());
    memory.write_back();
    received.add(fact.name, tensor);
  }
  values_.activation(value) = std::move(received);
}

at::Tensor OpRunner::gradient_of(const Value& gradient) const {
  at::Tensor parameter = parts_.model.parameter(gradient);
  at::Tensor& grad = parameter.mutable_grad();
  if (grad.defined() && !grad.is_sparse() && lie_alike(grad, parameter)) return grad;
  const SharedTensorsScope shared(shared_gradients_);
  if (grad.defined() && grad.is_sparse()) return grad = grad.to_dense();  // of an embedding
  const auto options = parameter.options().requires_grad(false);
  if (grad.defined()) {
    const at::NoGradGuard no_grad;
    return grad = at::empty_like(parameter, options).copy_(grad);
  }
  return grad = at::zeros_like(parameter, options);  // not used in this step, or no samples
}

void OpRunner::all_reduce(const Op& op) {
  if (op.accumulates.at(0).value.kind == ValueKind::buffer) return average_buffers(op);
  std::vector<at::Tensor> gradients;
  for (const Use& use : op.accumulates) {
    gradients.push_back(in_memory_order(gradient_of(use.value)));
  }
  HostMemory memory(std::move(gradients), device_, HostMemory::Use::both);
  parts_.group(op.group).all_reduce(memory.buffers(), ReduceOp::sum, collective_deadline());
  memory.write_back();
}

// Running statistics: the mean over the ranks that saw other samples, so that they stay replicated.
// Counters are equal on all ranks, so their largest is their value.
void OpRunner::average_buffers(const Op& op) {
  const at::NoGradGuard no_grad;
  Group& group = parts_.group(op.group);
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const Use& use : op.accumulates) {
    at::Tensor buffer = parts_.model.buffer(use.value);
    by_type[buffer.scalar_type()].push_back(buffer);
  }
  for (auto& [type, buffers] : by_type) {
    HostMemory memory(buffers, device_, HostMemory::Use::both);
    const bool averages = at::isFloatingType(type);
    group.all_reduce(memory.buffers(), averages ? ReduceOp::sum : ReduceOp::max,
                     collective_deadline());
    memory.write_back();
    if (!averages) continue;
    for (at::Tensor& buffer : buffers) buffer.div_(group.size());
  }
}

// Replicated gradients are equal on all members of their group: the first one counts them.
double OpRunner::squared_norm_of_counted_gradients() const {
  double sum = 0;
  for (const auto& trained : parts_.model.trained()) {
    Value gradient = trained.value;
    gradient.kind = ValueKind::gradient;
    if (const auto group = reduced_over_.find(gradient); group != reduced_over_.end()) {
      if (parts_.program.groups.at(group->second).ranks.front() != parts_.program.rank) continue;
    }
    sum += squared_norm(gradient_of(gradient));
  }
  return sum;
}

void OpRunner::agree(const Op& op) {
  const bool looks = parts_.program.trains &&
                     (parts_.model.optimizer().clip_norm.has_value() || input_->looks_at_gradients);
  const Requests& asked = input_->requests;
  std::array<double, 8> sums{values_.loss_sum,
                             values_.weight,
                             values_.correct,
                             looks ? squared_norm_of_counted_gradients() : 0.0,
                             asked.stop_signal == SIGINT ? 1.0 : 0.0,
                             asked.stop_signal == SIGTERM ? 1.0 : 0.0,
                             asked.checkpoint_written ? 1.0 : 0.0,
                             values_.samples};
  const Buffer all = buffer(std::span<double>(sums));
  parts_.group(op.group).all_reduce(std::span(&all, 1), ReduceOp::sum, collective_deadline());
  Agreement& agreed = values_.agreed;
  agreed.loss_sum = sums[0];
  agreed.weight = sums[1];
  agreed.correct = sums[2];
  agreed.samples = sums[7];
  agreed.gradient_norm =
      agreed.weight > 0 ? std::sqrt(sums[3]) / (agreed.weight * input_->loss_scale) : 0;
  agreed.loss_is_finite = std::isfinite(sums[0]);
  agreed.finite = std::isfinite(sums[0]) && std::isfinite(sums[3]);
  agreed.stop_signal = sums[5] > 0 ? SIGTERM : sums[4] > 0 ? SIGINT : 0;
  agreed.checkpoints_written = static_cast<int>(sums[6]);
}

void OpRunner::update(const Op&) {
  const Agreement& agreed = values_.agreed;
  if (!agreed.finite || agreed.weight == 0) return;
  const OptimizerOptions& optimizer = parts_.model.optimizer();
  double scale = 1 / (agreed.weight * input_->loss_scale);
  if (optimizer.clip_norm && agreed.gradient_norm > *optimizer.clip_norm) {
    scale *= *optimizer.clip_norm / agreed.gradient_norm;
  }
  ++parts_.model.update_count;
  for (const bool decays : {true, false}) {
    std::vector<at::Tensor> parameters, gradients;
    std::vector<std::vector<at::Tensor>> states;
    for (auto& trained : parts_.model.trained()) {
      if (trained.decays != decays) continue;
      Value gradient = trained.value;
      gradient.kind = ValueKind::gradient;
      parameters.push_back(trained.parameter);
      gradients.push_back(gradient_of(gradient));
      states.push_back(trained.states);
    }
    shoal::update(optimizer, parameters, gradients, states,
                  {.rate = input_->rate,
                   .gradient_scale = scale,
                   .count = parts_.model.update_count,
                   .decays = decays});
  }
  update_moving_averages();
}

void OpRunner::update_moving_averages() {
  const std::optional<double> decay = parts_.model.options().ema_decay;
  if (!decay) return;
  std::vector<at::Tensor> averages, parameters;
  for (auto& trained : parts_.model.trained()) {
    averages.push_back(trained.average);
    parameters.push_back(trained.parameter);
  }
  update_averages(*decay, parts_.model.update_count, averages, parameters);
}

}  // namespace shoal
