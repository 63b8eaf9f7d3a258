// A pass of your own: it rewrites the programs of all ranks, the verifier proves that they still
// mean the same, the simulator says what it costs, and they run as every other program does.
//   before   Load F0 F1 F2 Loss B2 AllReduce(2) B1 AllReduce(1) B0 AllReduce(0) Agree Update
//   after    Load F0 F1 F2 Loss B2 B1 B0 AllReduce(2) AllReduce(1) AllReduce(0) Agree Update
#include <fmt/format.h>
#include <shoal/shoal.h>

// Sums gradients only when Backward is over.
shoal::RankPrograms reduce_late(shoal::RankPrograms programs) {
  for (shoal::Program& program : programs) {
    std::vector<shoal::Op>& ops = program.ops;
    const auto computes = [](const shoal::Op& op) {
      return op.kind != shoal::OpKind::all_reduce && op.kind != shoal::OpKind::agree &&
             op.kind != shoal::OpKind::update;
    };
    std::stable_partition(ops.begin(), ops.end(), computes);
    shoal::number_versions(program);
  }
  return programs;
}

int main() {
  shoal::Job job;
  job.model.layers = nlohmann::json::parse(R"([{"linear": 64}, {"linear": 64}, {"linear": 10}])");
  job.data.name = shoal::DataName::random;
  job.data.shape = {64};
  job.data_parallel.bucket_bytes = 1;  // a bucket a tensor
  job.train.steps = 5;
  shoal::configure_torch(1);
  shoal::PreparedJob prepared = shoal::prepare(job, /*workers=*/2, {.measure_costs = true});

  shoal::RankPrograms& train = prepared.programs.named.at("train");
  shoal::Machine machine;
  machine.workers_per_host = 1;
  machine.link_bytes_per_second = 1e8;
  const double early = shoal::simulate(train, prepared.programs.blocks, machine).makespan;
  train = reduce_late(train);
  const double late = shoal::simulate(train, prepared.programs.blocks, machine).makespan;
  for (const std::string& fault : shoal::verify(prepared.programs)) fmt::print("{}\n", fault);

  fmt::print("{}\n", shoal::text_of(train.front()));
  fmt::print("over 100 MB/s a step takes {:.2f} times as long\n", late / early);
  shoal::run_ranks(2, job.comm,
                   [&](shoal::World& world) { shoal::Trainer(world, prepared, {}).run(); });
  return late > early && shoal::verify(prepared.programs).empty() ? 0 : 1;
}
