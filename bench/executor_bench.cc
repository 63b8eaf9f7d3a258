// What the executor adds to the calls that a program is made of: programs of hundreds of tiny
// operations, beside the same calls in a plain loop. Prints medians of five repetitions, in
// microseconds, and their spread.
//
//   executor_bench [BLOCKS]      default 200
//
// "gap" is the time from the end of one block's forward to the beginning of the next one's, seen by
// the blocks themselves; it holds what a loop has to do too (a new leaf for the graph).
#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/comm/world.h"
#include "shoal/execute/executor.h"
#include "shoal/model/recorder.h"
#include "shoal/program/compile.h"
#include "shoal/tensor/element_types.h"
#include "shoal/tensor/torch_settings.h"

namespace {

using shoal::steady_ns;
constexpr int kRepetitions = 5;
constexpr int kRuns = 30;     // of a program, a repetition
constexpr int kWarmUps = 10;  // runs before the first repetition
using Repetitions = std::array<double, kRepetitions>;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Nothing, or a product with one number; it notes when it ran last.
class TinyBlock final : public shoal::Block {
 public:
  explicit TinyBlock(bool trains) {
    if (trains) weight_ = register_parameter("weight", at::ones({1}));
  }
  shoal::Activations forward(const shoal::Activations& input, const shoal::Context&) override {
    entered = steady_ns();
    const at::Tensor& x = input.only();
    shoal::Activations output(weight_.defined() ? x * weight_ : x);
    left = steady_ns();
    return output;
  }
  std::int64_t entered = 0;
  std::int64_t left = 0;

 private:
  at::Tensor weight_;
};

struct Case {
  std::string name;
  bool trains = false;
  int ranks = 1;
  shoal::LanePolicy lanes = shoal::LanePolicy::in_line;
};

shoal::Chain tiny_chain(int blocks, bool trains) {
  std::vector<shoal::BlockFactory> factories;
  for (int i = 0; i < blocks; ++i) {
    factories.push_back({.name = fmt::format("{}.tiny", i), .kind = "tiny", .build = [trains] {
                           return std::make_shared<TinyBlock>(trains);
                         }});
  }
  return {std::move(factories), shoal::LossKind::mean_squared};
}

shoal::Programs programs_of(const Case& of, const shoal::Chain& chain) {
  const auto facts =
      shoal::record_facts(chain, {{.name = "x", .sample_shape = {1}, .differentiable = false}}, {});
  shoal::Plan plan;
  plan.mesh = shoal::Mesh({{"data", of.ranks}});
  plan.layout = shoal::Layout::standard(plan.mesh);
  plan.batch = of.ranks;                // a sample a rank
  plan.data_parallel.bucket_bytes = 1;  // an all-reduce a block
  return shoal::compile(facts, plan);
}

shoal::StepBatch one_sample() {
  return {.inputs = at::ones({1, 1}), .targets = at::ones({1, 1}), .sample_ids = {0}};
}

// The calls of one run without an executor: the floor.
class PlainLoop {
 public:
  PlainLoop(const shoal::Chain& chain, shoal::RankModel& model, shoal::Group& group)
      : chain_(chain), model_(model), group_(group) {}

  void evaluate() {
    const at::NoGradGuard no_grad;
    const shoal::StepBatch batch = one_sample();
    at::Tensor x = batch.inputs;
    for (int i = 0; i < blocks(); ++i) x = forward(i, x.detach());
    (void)shoal::loss_sums(chain_.loss(), x, batch.targets, true).loss.item<double>();
  }

  void train() {
    const shoal::StepBatch batch = one_sample();
    std::vector<at::Tensor> leaves, outputs;
    at::Tensor x = batch.inputs;
    for (int i = 0; i < blocks(); ++i) {
      leaves.push_back(x.detach().requires_grad_(i > 0));
      outputs.push_back(forward(i, leaves.back()));
      x = outputs.back();
    }
    const at::Tensor last = x.detach().requires_grad_(true);
    const auto sums = shoal::loss_sums(chain_.loss(), last, batch.targets, true);
    (void)sums.loss.item<double>();
    sums.loss.backward();
    at::Tensor gradient = last.grad();
    for (int i = blocks() - 1; i >= 0; --i) {
      torch::autograd::backward({outputs[static_cast<std::size_t>(i)]}, {gradient});
      if (i > 0) gradient = leaves[static_cast<std::size_t>(i)].grad();
      at::Tensor weight = model_.trained()[static_cast<std::size_t>(i)].parameter;
      reduce(shoal::buffer_of(weight.mutable_grad()));
    }
    std::array<double, 7> agreed{};
    reduce(shoal::buffer(std::span<double>(agreed)));
    update();
  }

 private:
  int blocks() const { return static_cast<int>(chain_.size()); }

  at::Tensor forward(int block, const at::Tensor& x) {
    static const std::vector<std::int64_t> ids{0};
    return model_.block(block).forward(shoal::Activations(x), {.sample_ids = &ids}).only();
  }

  void reduce(const shoal::Buffer& part) {
    if (group_.size() == 1) return;
    group_.all_reduce(std::span(&part, 1), shoal::ReduceOp::sum,
                      shoal::Deadline::after(std::chrono::seconds(60)));
  }

  void update() {
    std::vector<at::Tensor> parameters, gradients;
    std::vector<std::vector<at::Tensor>> states;
    for (auto& trained : model_.trained()) {
      parameters.push_back(trained.parameter);
      gradients.push_back(trained.parameter.mutable_grad());
      states.push_back(trained.states);
    }
    shoal::update(model_.optimizer(), parameters, gradients, states, {.rate = 0});
    for (auto& parameter : parameters) parameter.mutable_grad().reset();
  }

  const shoal::Chain& chain_;
  shoal::RankModel& model_;
  shoal::Group& group_;
};

double microseconds_a_run(const std::function<void()>& run) {
  const std::int64_t start = steady_ns();
  for (int i = 0; i < kRuns; ++i) run();
  return 1e-3 * static_cast<double>(steady_ns() - start) / kRuns;
}

double median_gap(shoal::RankModel& model, std::size_t blocks) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < blocks; ++i) {
    const auto& before = dynamic_cast<const TinyBlock&>(model.block(static_cast<int>(i) - 1));
    const auto& after = dynamic_cast<const TinyBlock&>(model.block(static_cast<int>(i)));
    gaps.push_back(1e-3 * static_cast<double>(after.entered - before.left));
  }
  return median(std::move(gaps));
}

struct Figures {
  std::size_t ops = 0;
  Repetitions executor{}, floor{}, added{}, gap{}, floor_gap{};  // microseconds an operation
};

Figures measured(const Case& of, int blocks) {
  const shoal::Chain chain = tiny_chain(blocks, of.trains);
  const shoal::Programs programs = programs_of(of, chain);
  Figures figures{.ops = programs.named.at(of.trains ? "train" : "evaluate").at(0).ops.size()};
  const auto ops = static_cast<double>(figures.ops);
  shoal::run_ranks(of.ranks, {}, [&](shoal::World& world) {
    shoal::RankModel model(chain, programs, world.rank(), {});
    shoal::RankModel plain_model(chain, programs, world.rank(), {});
    shoal::Executor executor(world, programs, model, chain,
                             {.lanes = of.lanes, .account = {}, .trace = {}});
    PlainLoop loop(chain, plain_model, executor.world_group());
    const shoal::RunInput input{
        .rate = 0, .batches = [](shoal::Deadline) { return one_sample(); }, .requests = {}};
    const auto run = [&] { of.trains ? executor.train(input) : executor.evaluate(input); };
    const auto plain = [&] { of.trains ? loop.train() : loop.evaluate(); };
    for (int i = 0; i < kWarmUps; ++i) {
      run();
      plain();
    }
    for (std::size_t i = 0; i < kRepetitions; ++i) {
      const double own = microseconds_a_run(run) / ops;
      const double floor = microseconds_a_run(plain) / ops;
      if (world.rank() != 0) continue;
      figures.executor[i] = own;
      figures.floor[i] = floor;
      figures.added[i] = own - floor;
      figures.gap[i] = median_gap(model, chain.size());
      figures.floor_gap[i] = median_gap(plain_model, chain.size());
    }
  });
  return figures;
}

std::string text_of(Repetitions values) {
  std::sort(values.begin(), values.end());
  return fmt::format("{:>7.2f} ({:.2f} to {:.2f})", values[kRepetitions / 2], values.front(),
                     values.back());
}

void print(const Case& of, const Figures& figures) {
  fmt::print("{}: {} operations\n", of.name, figures.ops);
  fmt::print("  {:<34}{}\n", "executor, an operation", text_of(figures.executor));
  fmt::print("  {:<34}{}\n", "plain loop, an operation", text_of(figures.floor));
  fmt::print("  {:<34}{}\n", "added by the executor", text_of(figures.added));
  fmt::print("  {:<34}{}\n", "gap between two forwards", text_of(figures.gap));
  fmt::print("  {:<34}{}\n", "the same in the loop", text_of(figures.floor_gap));
  std::fflush(stdout);
}

// How fast the machine is at this moment, and how much else it does.
void print_probe() {
  constexpr int kCalls = 200'000;
  constexpr std::size_t kBytes = 64 << 20;
  const std::int64_t start = steady_ns();
  for (int i = 0; i < kCalls; ++i) (void)steady_ns();
  const std::int64_t clocked = steady_ns();
  std::vector<char> from(kBytes, 1), to(kBytes, 2);
  const std::int64_t before_copy = steady_ns();
  std::memcpy(to.data(), from.data(), kBytes);
  const std::int64_t copied = steady_ns();
  const at::Tensor one = at::ones({1});
  for (int i = 0; i < kCalls; ++i) (void)one.detach();
  const std::int64_t detached = steady_ns();
  double load = 0;
  (void)getloadavg(&load, 1);
  fmt::print(
      "probe: a look at the clock {:.0f} ns, a detach {:.0f} ns, copy {:.1f} GB/s, load {:.2f}\n",
      static_cast<double>(clocked - start) / kCalls,
      static_cast<double>(detached - copied) / kCalls,
      static_cast<double>(kBytes) / static_cast<double>(copied - before_copy), load);
}

void run(int blocks) {
  using shoal::LanePolicy;
  shoal::configure_torch(1);
  fmt::print("microseconds, median of {} (smallest to largest) of {} runs each\n", kRepetitions,
             kRuns);
  print_probe();
  for (const Case& of : {Case{.name = "evaluate empty blocks, 1 rank"},
                         Case{.name = "train, 1 rank", .trains = true},
                         Case{.name = "train, 2 ranks, one lane", .trains = true, .ranks = 2},
                         Case{.name = "train, 2 ranks, all-reduce on a lane of its own",
                         .trains = true,
                         .ranks = 2,
                         .lanes = LanePolicy::threads}}) {
    print(of, measured(of, blocks));
  }
  print_probe();
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const int blocks = count > 1 ? std::atoi(arguments[1]) : 200;
    if (blocks < 2) throw std::invalid_argument("BLOCKS: give 2 or more");
    run(blocks);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
