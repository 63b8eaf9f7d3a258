// A layer of your own in a chain: its parameters have named dimensions, its noise depends on the
// sample and not on who computes it, so every plan trains alike.
#include <fmt/format.h>
#include <shoal/shoal.h>

class NoisyGate final : public shoal::Block {
 public:
  NoisyGate(std::int64_t features, std::int64_t hidden)
      : value_(register_parameter("value", torch::empty({hidden, features}))),
        gate_(register_parameter("gate", torch::empty({hidden, features}))) {}

  shoal::Activations forward(const shoal::Activations& input,
                             const shoal::Context& context) override {
    const at::Tensor& x = input.only();
    at::Tensor open = at::sigmoid(at::linear(x, gate_));
    if (context.training()) open = open + 0.1 * noise(open, context);
    return shoal::Activations(at::linear(x, value_) * open);
  }
  std::vector<std::string> dims_of(const std::string&) const override {
    return {"hidden", "features"};
  }

 private:
  static at::Tensor noise(const at::Tensor& like, const shoal::Context& context) {
    at::Tensor all = at::empty(like.sizes(), at::kFloat);
    const shoal::RandomStream stream(context.seed, "noisy gate", context.step);
    for (std::int64_t i = 0; i < all.size(0); ++i) {
      const auto id = static_cast<std::uint32_t>((*context.sample_ids)[i]);
      stream.at(context.step, id)
          .uniform({all[i].mutable_data_ptr<float>(), static_cast<std::size_t>(all.size(1))});
    }
    return all.to(like.scalar_type());
  }
  at::Tensor value_, gate_;  // [hidden, features]
};

int main() {
  shoal::Job job;
  job.data.name = shoal::DataName::random;
  job.data.shape = {16};
  job.train.steps = 30;
  job.train.rate.lr = 0.5;
  job.train.precision = shoal::Precision::fp64;
  const auto gate = [](std::int64_t features, std::int64_t hidden) {
    return [=] { return std::make_shared<NoisyGate>(features, hidden); };
  };
  const shoal::Chain chain({{.name = "first", .kind = "gate 16-32", .build = gate(16, 32)},
                            {.name = "second", .kind = "gate 32-10", .build = gate(32, 10)}},
                           shoal::LossKind::cross_entropy);

  shoal::configure_torch(1);
  const auto last_loss = [&](int workers) {
    const auto prepared = shoal::prepare(job, shoal::open_data(job.data, 0), chain, workers);
    double loss = 0;
    shoal::run_ranks(workers, job.comm, [&](shoal::World& world) {
      const shoal::RunReport report = shoal::Trainer(world, prepared, {}).run();
      if (world.rank() == 0) loss = report.loss.back();
    });
    return loss;
  };
  const double one = last_loss(1), three = last_loss(3);
  fmt::print("loss after 30 steps: {:.12f} with one worker, {:.12f} with three\n", one, three);
  return std::abs(one - three) < 1e-9 * one ? 0 : 1;
}
