// A program of a user's: an own LibTorch module, trained data parallel by two ranks.
#include <shoal/shoal.h>

#include <cmath>
#include <iostream>

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
  job.seed = 7;
  job.data.name = shoal::DataName::random;
  job.data.shape = {20};
  job.data.size = 1000;
  job.train.batch = 100;
  job.train.epochs = 3;
  job.train.optimizer.kind = shoal::OptimizerKind::adamw;
  job.train.rate.lr = 1e-2;

  shoal::configure_torch(1);
  const shoal::Chain net = shoal::chain_of_module("net", [] { return std::make_shared<Net>(); });
  const shoal::PreparedJob prepared =
      shoal::prepare(job, shoal::open_data(job.data, 7), net, /*workers=*/2);

  shoal::RunReport report;
  shoal::run_ranks(2, job.comm, [&](shoal::World& world) {
    shoal::Trainer trainer(world, prepared, {});
    const shoal::RunReport own = trainer.run();
    if (world.rank() == 0) report = own;
  });
  std::cout << "loss " << report.loss.front() << " -> " << report.loss.back() << ", accuracy "
            << report.evaluations.back().accuracy << "\n";
  const bool learned = report.loss.back() < 0.5 * report.loss.front();
  return learned && report.evaluations.back().accuracy > 0.8 ? 0 : 1;
}
