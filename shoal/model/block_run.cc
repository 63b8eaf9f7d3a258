#include "shoal/model/block_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>
#include <set>
#include <span>

#include "shoal/core/error.h"
#include "shoal/core/philox.h"
#include "shoal/tensor/autocast.h"
#include "shoal/tensor/element_types.h"

namespace shoal {

// There is no other rank: the sum is what the block has.
class NoteSums final : public BatchSums {
 public:
  void note_in(std::vector<BatchSumFacts>& list) {
    list.clear();
    list_ = &list;
  }
  void sum(at::Tensor& values) override {
    list_->push_back({.elements = values.numel(), .type = element_type(values.scalar_type())});
  }

 private:
  std::vector<BatchSumFacts>* list_ = nullptr;
};

namespace {

using torch::autograd::PostAccumulateGradHook;

class Note final : public PostAccumulateGradHook {
 public:
  Note(std::shared_ptr<std::vector<int>> completed, int index)
      : completed_(std::move(completed)), index_(index) {}
  void operator()(const at::Tensor& /*parameter*/) override { completed_->push_back(index_); }

 private:
  std::shared_ptr<std::vector<int>> completed_;
  int index_;
};

// Bytes of the storages of `tensors` that `known` does not hold already.
std::int64_t new_bytes(const std::vector<at::Tensor>& tensors,
                       const std::vector<at::Tensor>& known) {
  std::set<const void*> seen;
  for (const at::Tensor& tensor : known) seen.insert(tensor.storage().unsafeGetStorageImpl());
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (!seen.insert(tensor.storage().unsafeGetStorageImpl()).second) continue;
    bytes += static_cast<std::int64_t>(tensor.storage().nbytes());
  }
  return bytes;
}

std::vector<at::Tensor> tensors_of(const Activations& activations) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : activations.all()) tensors.push_back(tensor);
  return tensors;
}

// The outputs that a backward starts from, and gradients of one for them.
struct BackwardStart {
  std::vector<at::Tensor> roots;
  std::vector<at::Tensor> gradients;
  explicit BackwardStart(const Activations& outputs) {
    for (const auto& [name, tensor] : outputs.all()) {
      if (!tensor.requires_grad()) continue;
      roots.push_back(tensor);
      gradients.push_back(at::ones_like(tensor));
    }
  }
  void run() const { torch::autograd::backward(roots, gradients); }
};

double at_least_zero(std::int64_t bytes) {
  return static_cast<double>(std::max<std::int64_t>(0, bytes));
}

// A thread's own clock stands still while it sleeps or other processes have the core; with several
// threads at work only the wall clock sees them all.
double core_seconds() {
  if (at::get_num_threads() > 1) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  }
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

BlockRun::BlockRun(std::shared_ptr<Block> block, std::string name,
                   std::vector<ActivationFacts> inputs, std::optional<at::ScalarType> autocast)
    : account_(std::make_shared<MemoryAccount>()),
      scope_(account_),
      block_(std::move(block)),
      name_(std::move(name)),
      inputs_(std::move(inputs)),
      autocast_(autocast),
      tensors_(named_tensors(name_, *block_)),
      sums_(std::make_unique<NoteSums>()),
      completed_(std::make_shared<std::vector<int>>()) {
  for (const NamedTensor& item : tensors_) {
    if (!item.is_buffer) parameters_.push_back(item.tensor);
  }
  watch_gradients();
}

BlockRun::~BlockRun() = default;

void BlockRun::watch_gradients() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i];
    if (!parameter.requires_grad()) continue;
    parameter.mutable_grad() = at::zeros_like(parameter);
    torch::autograd::impl::set_post_acc_grad_hooks(
        parameter, std::make_unique<Note>(completed_, static_cast<int>(i)));
  }
}

Activations BlockRun::inputs_of(std::int64_t samples) const {
  Activations all;
  for (const ActivationFacts& facts : inputs_) {
    std::vector<std::int64_t> shape{samples};
    shape.insert(shape.end(), facts.sample_shape.begin(), facts.sample_shape.end());
    const at::ScalarType type = scalar_type(facts.type);
    at::Tensor tensor = at::zeros(shape, at::kFloat);
    if (at::isFloatingType(type)) {
      const std::span<float> numbers(tensor.mutable_data_ptr<float>(),
                                     static_cast<std::size_t>(tensor.numel()));
      RandomStream(0, facts.name).uniform(numbers);
    }
    tensor = tensor.to(type);
    if (facts.differentiable) tensor.requires_grad_();
    all.add(facts.name, tensor);
  }
  return all;
}

// Of a forward that begins now.
Context BlockRun::context_of(const std::vector<std::int64_t>& ids) {
  Context context;
  sums_->note_in(forward_sums_);
  context.batch_sums = sums_.get();
  context.sample_ids = &ids;
  return context;
}

void BlockRun::note_outputs(const Activations& outputs, std::int64_t samples) {
  std::vector<ActivationFacts> found;
  for (const auto& [name, tensor] : outputs.all()) {
    if (tensor.dim() < 1 || tensor.size(0) != samples) {
      throw InvalidInput(fmt::format(
          "its output '{}' has shape [{}] for {} samples: the first size must count samples", name,
          fmt::join(tensor.sizes(), ", "), samples));
    }
    found.push_back({.name = name,
                     .sample_shape = tensor.sizes().slice(1).vec(),
                     .type = element_type(tensor.scalar_type()),
                     .differentiable = tensor.requires_grad()});
  }
  if (found.empty()) throw InvalidInput("it has no output");
  if (!outputs_.empty() && found != outputs_) {
    throw InvalidInput("the shape of its output's samples depends on their number");
  }
  outputs_ = std::move(found);
}

RunBytes BlockRun::run(std::int64_t samples) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(samples));
  std::iota(ids.begin(), ids.end(), 0);
  const Activations inputs = inputs_of(samples);
  const Autocast autocast(autocast_);

  const std::int64_t before = account_->current();
  account_->reset_peak();
  const Activations outputs = block_->forward(inputs, context_of(ids));
  note_outputs(outputs, samples);
  const std::int64_t after = account_->current();
  const std::int64_t output_bytes = new_bytes(tensors_of(outputs), tensors_of(inputs));
  const std::int64_t saved = std::max<std::int64_t>(0, after - before - output_bytes);
  const std::int64_t forward_peak = account_->peak() - before - output_bytes - saved;
  RunBytes bytes{.saved = static_cast<double>(saved), .workspace = at_least_zero(forward_peak)};

  const BackwardStart start(outputs);
  if (start.roots.empty()) return bytes;
  completed_->clear();
  sums_->note_in(backward_sums_);
  const std::int64_t before_backward = account_->current();
  account_->reset_peak();
  start.run();
  std::int64_t input_gradients = 0;
  for (const auto& [name, tensor] : inputs.all()) {
    if (tensor.grad().defined()) {
      input_gradients += static_cast<std::int64_t>(tensor.grad().storage().nbytes());
    }
  }
  bytes.workspace = std::max(bytes.workspace,
                             at_least_zero(account_->peak() - before_backward - input_gradients));
  return bytes;
}

RunSeconds BlockRun::time(std::int64_t samples) {
  constexpr int kRepetitions = 3;
  std::vector<std::int64_t> ids(static_cast<std::size_t>(samples));
  std::iota(ids.begin(), ids.end(), 0);
  const Waits asleep = at::get_num_threads() > 1 ? block_->waits() : Waits{};
  RunSeconds least{.forward = 1e30, .backward = 1e30};
  for (int i = 0; i <= kRepetitions; ++i) {
    const Activations inputs = inputs_of(samples);
    const Autocast autocast(autocast_);
    const double start = core_seconds();
    const Activations outputs = block_->forward(inputs, context_of(ids));
    const double forward_end = core_seconds();
    const BackwardStart backward(outputs);
    const double backward_start = core_seconds();
    if (!backward.roots.empty()) backward.run();
    const double end = core_seconds();
    if (i == 0) continue;  // the first one plans and allocates
    least.forward = std::min(least.forward, forward_end - start - asleep.forward);
    if (!backward.roots.empty()) {
      least.backward = std::min(least.backward, end - backward_start - asleep.backward);
    } else {
      least.backward = 0;
    }
  }
  return {.forward = std::max(0.0, least.forward), .backward = std::max(0.0, least.backward)};
}

std::vector<int> BlockRun::gradient_order() const {
  std::vector<int> order;
  const auto add = [&order](int index) {
    if (std::find(order.begin(), order.end(), index) == order.end()) order.push_back(index);
  };
  for (const int index : *completed_) add(index);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].requires_grad()) add(static_cast<int>(i));
  }
  return order;
}

}  // namespace shoal
