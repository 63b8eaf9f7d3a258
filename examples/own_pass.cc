// A pass of your own: it rewrites the programs of all ranks, the verifier proves that they still
// fit, the simulator says what it costs, and they run as every other program does.
//   before   Load F0 F1 F2 Loss B2 AllReduce(2) B1 AllReduce(1) B0 AllReduce(0) Agree Update
//   after    Load F0 F1 F2 Loss B2 B1 B0 AllReduce(2,1,0) Agree Update
#include <fmt/format.h>
#include <shoal/shoal.h>

// One sum of all gradients: less to start, and nothing beside Backward.
shoal::RankPrograms reduce_at_once(shoal::RankPrograms programs) {
  for (shoal::Program& program : programs) {
    std::vector<shoal::Op> ops;
    shoal::Op all;
    for (shoal::Op& op : program.ops) {
      if (op.kind == shoal::OpKind::agree && !all.accumulates.empty()) ops.push_back(all);
      if (op.kind != shoal::OpKind::all_reduce) {
        ops.push_back(std::move(op));
      } else if (all.accumulates.empty()) {
        all = std::move(op);
      } else {
        all.bytes += op.bytes;
        all.accumulates.insert(all.accumulates.end(), op.accumulates.begin(), op.accumulates.end());
      }
    }
    program.ops = std::move(ops);
    shoal::number_versions(program);
  }
  return programs;
}

int main() {
  shoal::Job job;
  job.data.classes = 512;
  job.model.layers =
      nlohmann::json::parse(R"([{"linear": 512}, {"linear": 512}, {"linear": 512}])");
  job.data.name = shoal::DataName::random;
  job.data.shape = {512};
  job.data_parallel.bucket_bytes = 1;  // a bucket a tensor
  job.train.steps = 5;
  shoal::configure_torch(1);
  shoal::PreparedJob prepared = shoal::prepare(job, /*workers=*/2, {.measure_costs = true});

  shoal::RankPrograms& train = prepared.programs.named.at("train");
  shoal::Machine machine;
  machine.workers_per_host = 1;
  machine.link_bytes_per_second = 1e9;
  const double beside = shoal::simulate(train, prepared.programs.blocks, machine).makespan;
  train = reduce_at_once(train);
  const double at_once = shoal::simulate(train, prepared.programs.blocks, machine).makespan;
  for (const std::string& fault : shoal::verify(prepared.programs)) fmt::print("{}\n", fault);

  fmt::print("{}\n", shoal::text_of(train.front()));
  fmt::print("over 1 GB/s a step takes {:.2f} times as long\n", at_once / beside);
  shoal::run_ranks(2, job.comm,
                   [&](shoal::World& world) { shoal::Trainer(world, prepared, {}).run(); });
  return at_once > beside && shoal::verify(prepared.programs).empty() ? 0 : 1;
}
