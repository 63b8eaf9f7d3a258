// A trained checkpoint, used in a program of your own. Two workers train it here; one uses it.
#include <fmt/format.h>
#include <shoal/shoal.h>

#include <filesystem>

int main() {
  const auto folder = std::filesystem::temp_directory_path() / "shoal-example-inference";
  std::filesystem::remove_all(folder);
  shoal::Job job;
  job.model.name = "mlp";
  job.data.name = shoal::DataName::random;
  job.data.shape = {20};
  job.train.epochs = 3;
  job.train.rate.lr = 0.1;
  job.checkpoint.path = folder.string();

  shoal::configure_torch(1);
  const shoal::PreparedJob trained = shoal::prepare(job, /*workers=*/2);
  shoal::run_ranks(2, job.comm,
                   [&](shoal::World& world) { shoal::Trainer(world, trained, {}).run(); });

  job.checkpoint.path.clear();
  const shoal::PreparedJob prepared = shoal::prepare(job, /*workers=*/1);
  const shoal::Checkpoint checkpoint(*shoal::find_newest(folder).newest);
  double accuracy = 0;
  shoal::run_ranks(1, job.comm, [&](shoal::World& world) {
    shoal::RankModel model(prepared.chain, prepared.programs, /*rank=*/0, {});
    const at::NoGradGuard no_grad;
    for (shoal::HeldTensor& held : model.held()) {
      if (held.role != "optimizer") held.tensor.copy_(checkpoint.tensor(held.name));
    }
    shoal::Executor executor(world, prepared.programs, model, prepared.chain, {});
    std::vector<std::int64_t> ids(200);
    std::iota(ids.begin(), ids.end(), 0);
    shoal::Batch batch;
    prepared.data.test->read(ids, batch);
    const at::Tensor inputs =
        at::from_blob(batch.inputs.data(), {batch.samples, 20}, at::kFloat).clone();
    const at::Tensor scores = executor.predict({.batches = [&](shoal::Deadline) {
      return shoal::StepBatch{.inputs = inputs, .sample_ids = ids};
    }});
    accuracy = (scores.argmax(1) == at::tensor(batch.labels)).to(at::kFloat).mean().item<double>();
  });
  fmt::print("{:.1f} % of 200 samples are told right\n", 100 * accuracy);
  std::filesystem::remove_all(folder);
  return accuracy > 0.5 ? 0 : 1;
}
