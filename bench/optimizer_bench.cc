// What an update costs per parameter, for parameters that no cache holds.
//
//   optimizer_bench [--json] [KIND ...]      default: all; bench/optimizer.py sets torch.optim
//   beside
//
// One thread; a gradient, the weights and the optimizer's states of 32 Mi float32 parameters in 16
// tensors; the median of seven updates after two, with the smallest and largest.
#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "shoal/execute/trace.h"
#include "shoal/optim/optimizer.h"
#include "shoal/tensor/torch_settings.h"

namespace {

constexpr int kTensors = 16;
constexpr std::int64_t kElements = 2 << 20;  // of one
constexpr int kWarmUps = 2;
constexpr int kUpdates = 7;

using Kind = shoal::OptimizerKind;
const std::map<std::string, shoal::OptimizerOptions>& kinds() {
  static const std::map<std::string, shoal::OptimizerOptions> kAll{
      {"sgd", {.kind = Kind::sgd, .momentum = 0.9}},
      {"adam", {.kind = Kind::adam}},
      {"adamw", {.kind = Kind::adamw, .weight_decay = 0.01}},
      {"rmsprop", {.kind = Kind::rmsprop}},
      {"adagrad", {.kind = Kind::adagrad}},
      {"lamb", {.kind = Kind::lamb, .weight_decay = 0.01}},
      {"lars", {.kind = Kind::lars, .momentum = 0.9, .weight_decay = 1e-4}},
  };
  return kAll;
}

// Nanoseconds a parameter of each update, ascending.
std::vector<double> measured(const shoal::OptimizerOptions& options) {
  std::vector<at::Tensor> parameters, gradients;
  std::vector<std::vector<at::Tensor>> states;
  for (int i = 0; i < kTensors; ++i) {
    parameters.push_back(at::rand({kElements}) + 0.5);
    gradients.push_back(at::rand({kElements}) - 0.5);
    states.push_back(shoal::new_states(options, parameters.back()));
  }
  std::vector<double> times;
  for (int update = 0; update < kWarmUps + kUpdates; ++update) {
    const std::int64_t start = shoal::steady_ns();
    shoal::update(options, parameters, gradients, states,
                  {.rate = 1e-6, .gradient_scale = 1.0 / 128, .count = update + 1});
    const auto spent = static_cast<double>(shoal::steady_ns() - start);
    if (update >= kWarmUps) times.push_back(spent / (1.0 * kTensors * kElements));
  }
  std::sort(times.begin(), times.end());
  return times;
}

void run(const std::vector<std::string>& names, bool json) {
  shoal::configure_torch(1);
  if (!json) fmt::print("nanoseconds a parameter, median of {} updates\n", kUpdates);
  for (const std::string& name : names) {
    const auto found = kinds().find(name);
    if (found == kinds().end()) throw std::invalid_argument("no optimizer is called " + name);
    const std::vector<double> times = measured(found->second);
    const double median = times[times.size() / 2];
    if (json) {
      fmt::print("{{\"kind\": \"{}\", \"ns\": {:.4f}}}\n", name, median);
    } else {
      fmt::print("  {:<8}{:>6.2f} ({:.2f} to {:.2f})\n", name, median, times.front(), times.back());
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    std::vector<std::string> names(arguments + 1, arguments + count);
    const bool json = std::erase(names, "--json") > 0;
    if (names.empty()) {
      for (const auto& [name, options] : kinds()) names.push_back(name);
    }
    run(names, json);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
