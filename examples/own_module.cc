// A LibTorch module of your own, trained data parallel. Alone, or: shoal run -n 2 -- own_module
#include <fmt/format.h>
#include <shoal/shoal.h>

struct Net : torch::nn::Module {
  Net() {
    hidden = register_module("hidden", torch::nn::Linear(20, 32));
    output = register_module("output", torch::nn::Linear(32, 10));
  }
  at::Tensor forward(const at::Tensor& x) { return output(torch::relu(hidden(x))); }
  torch::nn::Linear hidden{nullptr}, output{nullptr};
};

int main() {
  shoal::Job job;
  job.data.name = shoal::DataName::random;
  job.data.shape = {20};
  job.train.epochs = 2;
  job.train.optimizer.kind = shoal::OptimizerKind::adamw;
  job.train.rate.lr = 1e-2;

  shoal::configure_torch(1);
  const auto launched = shoal::join_launched_world(job.comm);
  const shoal::Chain net = shoal::chain_of_module("net", [] { return std::make_shared<Net>(); });
  const shoal::PreparedJob prepared =
      shoal::prepare(job, shoal::open_data(job.data, /*seed=*/0), net, launched.world->size());
  const shoal::RunReport report = shoal::Trainer(*launched.world, prepared, {}).run();
  if (launched.world->rank() == 0) {
    fmt::print("loss {:.3f} -> {:.3f}\n", report.loss.front(), report.loss.back());
  }
  return report.loss.back() < 0.5 * report.loss.front() ? 0 : 1;
}
