// Only the head is trained: for what lies below there is no backward, no gradient and no sum.
#include <fmt/format.h>
#include <shoal/shoal.h>

int main() {
  shoal::Job job;
  job.model.name = "mlp";
  job.model.hidden = {64, 32};
  job.data.name = shoal::DataName::random;
  job.data.shape = {20};
  job.train.epochs = 3;
  job.train.rate.lr = 0.2;
  job.freeze.blocks = 2;  // the lowest two; single tensors: job.freeze.parameters = {"0.*.bias"}

  shoal::configure_torch(1);
  const shoal::PreparedJob prepared = shoal::prepare(job, /*workers=*/2);
  fmt::print("{}\n", shoal::text_of(prepared.programs.named.at("train").front()));

  double before = 0, after = 0;
  shoal::run_ranks(2, job.comm, [&](shoal::World& world) {
    shoal::Trainer trainer(world, prepared, {});
    const auto sum_of_prefix = [&] {
      double sum = 0;
      for (const shoal::HeldTensor& held : trainer.model().held()) {
        if (held.block < 2) sum += held.tensor.sum().item<double>();
      }
      return sum;
    };
    if (world.rank() == 0) before = sum_of_prefix();
    const shoal::RunReport report = trainer.run();
    if (world.rank() != 0) return;
    after = sum_of_prefix();
    fmt::print("loss {:.3f} -> {:.3f}, the prefix {}\n", report.loss.front(), report.loss.back(),
               before == after ? "as it was" : "changed");
  });
  return before == after ? 0 : 1;
}
