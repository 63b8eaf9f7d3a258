// A data set of your own: two spirals, whose points are computed when a batch is read.
#include <fmt/format.h>
#include <shoal/shoal.h>

#include <cmath>

class Spirals final : public shoal::Dataset {
 public:
  explicit Spirals(std::int64_t size)
      : Dataset({.name = "spirals", .size = size, .sample_shape = {2}, .answers = {.classes = 2}}) {
  }

  // Several threads of the loader call it at once.
  void read(std::span<const std::int64_t> ids, shoal::Batch& out) const override {
    prepare(ids, out);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const double turn = 4.0 * static_cast<double>(ids[i]) / static_cast<double>(size());
      const double sign = ids[i] % 2 == 0 ? 1 : -1;
      out.inputs.as<float>()[2 * i] = static_cast<float>(sign * turn * std::cos(turn));
      out.inputs.as<float>()[2 * i + 1] = static_cast<float>(sign * turn * std::sin(turn));
      out.labels[i] = ids[i] % 2;
    }
  }
};

int main() {
  shoal::Job job;
  job.model.name = "mlp";
  job.model.hidden = {32, 32};
  job.train.epochs = 40;
  job.train.batch = 50;
  job.train.optimizer.kind = shoal::OptimizerKind::adamw;
  job.train.rate.lr = 1e-2;

  shoal::configure_torch(1);
  const auto spirals = std::make_shared<Spirals>(2000);
  const shoal::DataSplits data{
      .train = spirals, .validation = std::make_shared<Spirals>(0), .test = spirals};
  const shoal::Chain chain = shoal::make_chain(job.model, {.sample_shape = {2}, .classes = 2});
  const auto prepared = shoal::prepare(job, data, chain, /*workers=*/2);
  shoal::run_ranks(2, job.comm, [&](shoal::World& world) {
    const shoal::RunReport report = shoal::Trainer(world, prepared, {}).run();
    const double accuracy = report.evaluations.back().accuracy;
    if (world.rank() == 0) fmt::print("accuracy {:.3f}\n", accuracy);
    if (accuracy < 0.95) throw shoal::InvalidInput("the spirals were not learnt");
  });
}
